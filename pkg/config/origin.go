package config

import (
	"encoding/json"
	"reflect"
)

// Resumed returns the settings of a run that goes on: those of the experiment,
// own, but for the keys that belong to the machine or to one session, which are
// c's. Folders of degraded copies that bear the usual names are left to WithFolders.
func (c Config) Resumed(own Config) Config {
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("scope") != "" {
			reflect.ValueOf(&own).Elem().Field(i).Set(reflect.ValueOf(c).Field(i))
		}
	}
	return own.withoutFolders()
}

// OfTheMachine reports whether a key belongs to the machine or to one session, so
// that a run that is resumed does not keep it.
func OfTheMachine(key string) bool {
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("json") == key {
			return t.Field(i).Tag.Get("scope") != ""
		}
	}
	return false
}

// Edited returns the keys that edit gives a value, with those values on the base
// c: also where the value is the one that c has. It runs edit twice, the second
// time on settings of which every single one is different.
func (c Config) Edited(edit func(*Config)) []Entry {
	one := c
	edit(&one)
	other := c.unlike()
	reached := run(edit, &other)
	var list []Entry
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		before, after := reflect.ValueOf(c).Field(i), reflect.ValueOf(one).Field(i)
		if same(before, after) && !(reached && same(after, reflect.ValueOf(other).Field(i))) {
			continue
		}
		if value, err := json.Marshal(after.Interface()); err == nil { // NaN has no JSON; Validate will say what is wrong with it
			list = append(list, Entry{t.Field(i).Tag.Get("json"), value})
		}
	}
	return list
}

// run reports whether edit came to its end: it may not like unusual settings.
func run(edit func(*Config), c *Config) (reached bool) {
	defer func() { _ = recover() }()
	edit(c)
	return true
}

func same(a, b reflect.Value) bool { return a.Interface() == b.Interface() }

// unlike returns settings of which every one differs from c's.
func (c Config) unlike() Config {
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.String:
			f.SetString(f.String() + "\x00")
		case reflect.Float64:
			f.SetFloat(2*f.Float() + 1)
		default:
			f.SetInt(2*f.Int() + 1)
		}
	}
	return c
}

// Field is one key of a [Config].
type Field struct {
	Name, Key string // in Go and in JSON
	Value     string // as in JSON
}

// Fields lists all keys with c's values, in the order of the struct.
func (c Config) Fields() []Field {
	t := reflect.TypeFor[Config]()
	list := make([]Field, t.NumField())
	for i := range list {
		list[i] = Field{t.Field(i).Name, t.Field(i).Tag.Get("json"), show(reflect.ValueOf(c).Field(i).Interface())}
	}
	return list
}
