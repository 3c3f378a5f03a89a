package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
