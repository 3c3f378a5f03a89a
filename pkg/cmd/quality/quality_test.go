package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rekindle/pkg/score"
)

func TestThePageIsThatOfTheNumbers(t *testing.T) {
	rows, err := load("testdata/measured.json")
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	path := filepath.Join(t.TempDir(), "quality.md")
	if err := writePage(path, rows); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("../../../docs/quality.md"); err != nil || string(got) != string(want) {
		t.Errorf("docs/quality.md is not what the numbers make (%v); run make quality", err)
	}
}

func TestAMeasurementTakesThePlaceOfAnOlderOneOfItsLevel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "measured.json")
	for _, r := range []row{
		{Name: "a", Set: "S", Every: 6, Numbers: []numbers{{Sigma: 25, PSNR: 1}}},
		{Name: "b", Set: "S", Every: 6, Numbers: []numbers{{Sigma: 25, PSNR: 2}}},
		{Name: "a", Set: "S", Every: 6, Numbers: []numbers{{Sigma: 15, PSNR: 3}}},
		{Name: "a", Set: "S", Every: 6, Numbers: []numbers{{Sigma: 25, PSNR: 4}}},
		{Name: "a", Set: "S", Every: 1, Numbers: []numbers{{Sigma: 25, PSNR: 5}}},
	} {
		if err := put(path, r); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := load(path)
	if err != nil || len(rows) != 3 {
		t.Fatalf("%+v, %v", rows, err)
	}
	if !slices.Equal(rows[0].Numbers, []numbers{{Sigma: 15, PSNR: 3}, {Sigma: 25, PSNR: 4}}) {
		t.Errorf("a: %+v", rows[0].Numbers)
	}
	line := row{Name: "n", About: "1.2", Set: "S", Clip: true, Every: 6, Numbers: []numbers{{Sigma: 25, Pictures: 12, PSNR: 30.104, SSIM: 0.81234, CPU: 2.04}}}.line()
	if want := "| n (1.2) | 12 of S, every 6th, noise clipped |  | 30.10, 0.8123 |  | 2.0 |"; line != want {
		t.Errorf("got %s\nwant %s", line, want)
	}
}

// What NumPy would read and write.
func TestArraysAreThoseOfNumPy(t *testing.T) {
	im := score.Image{W: 2, H: 1, Values: []float64{1, -2.5, 300}[:2]}
	raw := npy(im)
	header := string(raw[10 : len(raw)-16])
	if int(raw[8])+int(raw[9])<<8 != len(header) || (10+len(header))%64 != 0 || !strings.Contains(header, "'shape': (1, 1, 2)") || !strings.HasSuffix(header, "\n") {
		t.Errorf("header %q", header)
	}
	if got, err := values(raw, im); err != nil || !slices.Equal(got.Values, im.Values) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := values(raw[:50], im); err == nil {
		t.Error("half an array was read")
	}
}

// A first picture that is compiled for does not count: the median does.
func TestTimesAreMedians(t *testing.T) {
	r := &score.Result{Sigma: 25, Pictures: []score.Picture{{W: 1000, H: 1000, CPU: 90}, {W: 1000, H: 1000, CPU: 2}, {W: 1000, H: 500, CPU: 1.5}}}
	if n := numbersOf(r); n.CPU != 3 || n.Pictures != 3 {
		raw, _ := json.Marshal(n)
		t.Errorf("%s", raw)
	}
}
