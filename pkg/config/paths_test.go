package config

import (
	"os/user"
	"reflect"
	"strings"
	"testing"
)

func TestPathsAreWhatAShellMakesOfThem(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	t.Setenv("DATA", "/mnt/data")
	t.Setenv("EMPTY", "")
	for path, want := range map[string]string{
		"": "", "data/raw": "data/raw", "~": "/home/ada", "~/photos": "/home/ada/photos", "./~/x": "./~/x", "a~b": "a~b", "x/~": "x/~",
		"$DATA/raw": "/mnt/data/raw", "${DATA}_2/raw": "/mnt/data_2/raw", "$HOME/x": "/home/ada/x", "/a/$DATA": "/a//mnt/data",
		`/a/\$DATA`: "/a/$DATA", "cost 5$": "cost 5$", "$": "$", "$5": "$5", "${": "${", "~root": "",
	} {
		if path == "~root" {
			u, err := user.Lookup("root")
			if err != nil {
				continue
			}
			want = u.HomeDir
		}
		if got, err := ExpandPath(path); err != nil || got != want {
			t.Errorf("%q: got %q (%v), want %q", path, got, err, want)
		}
	}
	for path, words := range map[string]string{"$NOT_SET_HERE/x": "NOT_SET_HERE is not set", "${EMPTY}/x": "EMPTY is not set", "~nobody-of-this-name/x": "no user"} {
		if got, err := ExpandPath(path); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: got %q, %v, want an error with %q", path, got, err, words)
		}
	}
	t.Setenv("HOME", "")
	if got, err := ExpandPath("~/x"); err != nil || !strings.HasSuffix(got, "/x") || strings.HasPrefix(got, "~") {
		t.Errorf("without HOME: got %q, %v", got, err)
	}
}

func TestEveryPathOfAConfigurationIsExpanded(t *testing.T) {
	t.Setenv("HOME", "/home/ada")
	c := Default()
	for i := range reflect.TypeFor[Config]().NumField() {
		if f := reflect.TypeFor[Config]().Field(i); strings.HasSuffix(f.Name, "Dir") || strings.HasSuffix(f.Name, "Weights") && f.Type.Kind() == reflect.String {
			reflect.ValueOf(&c).Elem().Field(i).SetString("~/" + f.Name)
		}
	}
	c, err := c.WithPaths()
	if err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeFor[Config]().NumField() {
		if text, ok := reflect.ValueOf(c).Field(i).Interface().(string); ok && strings.HasPrefix(text, "~") {
			t.Errorf("%s is still %q", reflect.TypeFor[Config]().Field(i).Name, text)
		}
	}
	c.TrainCleanDir = "$NOT_SET_HERE"
	if _, err := c.WithPaths(); err == nil || !strings.Contains(err.Error(), "TrainCleanDir") {
		t.Errorf("got %v", err)
	}
}
