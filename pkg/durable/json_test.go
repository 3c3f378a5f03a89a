package durable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

func ExampleWriteJSON() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "numbers.json")
	known := map[string]int{}
	if err := ReadJSON(path, &known); err != nil && !errors.Is(err, fs.ErrNotExist) { // the first time there is none
		fmt.Println(err)
	}
	known["epochs"]++
	if err := WriteJSON(path, known); err != nil {
		fmt.Println(err)
	}
	raw, _ := os.ReadFile(path)
	fmt.Print(string(raw))
	// Output:
	// {
	//   "epochs": 1
	// }
}

func TestJSONThatIsNoneIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	if err := WriteFile(path, []byte("[1, 2")); err != nil {
		t.Fatal(err)
	}
	if err := ReadJSON(path, &[]int{}); err == nil || errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("got %v", err)
	}
	if err := WriteJSON(path, func() {}); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("got %v", err)
	}
	if raw, _ := os.ReadFile(path); string(raw) != "[1, 2" {
		t.Errorf("what cannot be written left %q", raw)
	}
}

func TestTextsOfEditorsAreUTF8(t *testing.T) {
	const want = "{\"ä\": \"🔥\"}"
	le, be := []byte("\xFF\xFE"), []byte("\xFE\xFF")
	for _, u := range utf16.Encode([]rune(want)) {
		le, be = binary.LittleEndian.AppendUint16(le, u), binary.BigEndian.AppendUint16(be, u)
	}
	for name, raw := range map[string][]byte{"plain": []byte(want), "a mark": []byte("\xEF\xBB\xBF" + want), "UTF-16": le, "UTF-16, big-endian": be, "half a letter": append(slices.Clone(le), 'x')} {
		path := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadText(path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
