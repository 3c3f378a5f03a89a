package durable

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxName is how long a file's name may be on most systems, in bytes.
const maxName = 255

// Printable spells a file's name so that it can be printed and written into JSON:
// each byte that is no UTF-8 becomes U+FFFD and two hexadecimal digits. Other names
// stay as they are. [Unprintable] is the way back.
func Printable(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, "\uFFFD%02X", name[0])
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}

var spelt = regexp.MustCompile("\uFFFD[0-9A-F]{2}")

// Unprintable is the name that [Printable] has spelt.
func Unprintable(name string) string {
	return spelt.ReplaceAllStringFunc(name, func(s string) string {
		b, _ := strconv.ParseUint(s[len(s)-2:], 16, 8) // two digits
		return string([]byte{byte(b)})
	})
}

// Shortened cuts a file's name so that with an ending of so many bytes it is none
// that file systems refuse, at the end of a letter.
func Shortened(name string, ending int) string {
	room := maxName - ending
	if len(name) <= room {
		return name
	}
	for room > 0 && !utf8.RuneStart(name[room]) {
		room--
	}
	return name[:room]
}

// FoldsCase reports whether a folder, or the nearest one around it that exists, is
// on a file system for which "a" and "A" are one name; false where that cannot be
// found out.
func FoldsCase(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err == nil && info.IsDir() || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	name := fmt.Sprintf("%scase-%x", TempPrefix, rand.Uint64())
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return false
	}
	f.Close()
	defer os.Remove(f.Name())
	_, err = os.Lstat(filepath.Join(dir, strings.ToUpper(name)))
	return err == nil
}
