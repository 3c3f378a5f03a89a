package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"rekindle/pkg/durable"
)

// Entry is one key of a JSON object with its value.
type Entry struct {
	Key   string
	Value json.RawMessage
}

// entries reads a JSON object, its keys in their order. A key given twice is an error.
func entries(text []byte) ([]Entry, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	var list []Entry
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.Join(errors.New(`it is not a JSON object such as {"num_epochs": 2}`), syntax(err))
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, syntax(err)
		}
		e := Entry{Key: key.(string)} // the decoder takes nothing else here
		if err := d.Decode(&e.Value); err != nil {
			return nil, syntax(err)
		}
		if slices.ContainsFunc(list, func(o Entry) bool { return o.Key == e.Key }) {
			return nil, fmt.Errorf("the key %q is given twice", e.Key)
		}
		list = append(list, e)
	}
	if _, err := d.Token(); err != nil {
		return nil, syntax(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object; remove what comes after its last }")
	}
	return list, nil
}

func syntax(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON ends too early; a } or a quote is missing")
	}
	return fmt.Errorf("the JSON is malformed: %w", err)
}

// set gives a key a value from JSON.
func (c *Config) set(e Entry) error {
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("json") != e.Key {
			continue
		}
		v := reflect.New(t.Field(i).Type)
		if err := json.Unmarshal(e.Value, v.Interface()); err != nil || string(e.Value) == "null" {
			return fmt.Errorf("%q is %s; it must be %s", e.Key, short(e.Value), wanted(t.Field(i).Type))
		}
		reflect.ValueOf(c).Elem().Field(i).Set(v.Elem())
		return nil
	}
	return fmt.Errorf("there is no key %q; did you mean %q?", e.Key, nearest(e.Key, Keys()))
}

func short(value json.RawMessage) string {
	const longest = 40
	if text := []rune(string(value)); len(text) > longest {
		return string(text[:longest]) + "…"
	}
	return string(value)
}

// wanted says in JSON's words what a field takes.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text in quotes"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number, at most 9223372036854775807"
}

// Override applies a JSON object such as {"num_epochs": 2} on top of c. A key
// that does not exist, is given twice or has a value of another type is an error.
func (c Config) Override(text string) (Config, error) {
	list, err := Entries(text)
	if err != nil {
		return c, err
	}
	return c.Apply(list)
}

// Entries reads a JSON object of keys. A key given twice is an error; whether
// there is one of that name [Config.Apply] says.
func Entries(text string) ([]Entry, error) {
	list, err := entries([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return list, nil
}

// Apply gives keys their values.
func (c Config) Apply(list []Entry) (Config, error) {
	out := c
	for _, e := range list {
		if err := out.set(e); err != nil {
			return c, fmt.Errorf("config: %w", err)
		}
	}
	return out, nil
}

// Decode reads what [Config.Save] wrote, in this version or another one, or the
// Python original: keys that are missing keep their defaults, and keys that are
// unknown are ignored. Keys whose value is of another type keep their defaults
// too, and are named in unread.
func Decode(raw []byte) (c Config, unread []string, err error) {
	c = Default()
	list, err := entries(raw)
	if err != nil {
		return c, nil, fmt.Errorf("config: %w", err)
	}
	known := Keys()
	for _, e := range list {
		if !slices.Contains(known, e.Key) {
			continue
		}
		if err := c.set(e); err != nil {
			unread = append(unread, err.Error())
		}
	}
	return c, unread, nil
}

// Load reads a config.json as [Decode] does; a value of another type is an error. After
// an error nothing is known: the configuration is empty.
func Load(path string) (Config, error) {
	raw, err := durable.ReadText(path)
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	c, unread, err := Decode(raw)
	if err == nil && len(unread) > 0 {
		err = errors.New("config: " + strings.Join(unread, "; "))
	}
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
