package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Change is one key whose value differs between two configurations.
type Change struct {
	Key           string `json:"key"` // as in JSON
	Old           string `json:"old"` // values as in JSON
	New           string `json:"new"`
	ShapesNetwork bool   `json:"-"` // weights of the old value do not fit the new one
	ShapesLoss    bool   `json:"-"` // validation losses before and after cannot be compared
}

// shapesLoss are the keys that say what is validated, and by what.
var shapesLoss = []string{
	"loss_alpha", "loss_charbonnier", "loss_beta", "loss_gamma", "vgg_weights", "ema_decay", "seed",
	"val_degraded_dir", "val_clean_dir", "patch_size", "val_patches_per_image",
	"degradation", "noise_sigma", "noise_sigma_max", "noise_correlation", "noise_correlation_max", "sensor_gain", "sensor_gain_max",
	"read_noise", "read_noise_max", "salt_pepper_density", "salt_ratio", "quantization_bits", "blur_sigma",
	"motion_length", "motion_angle", "jpeg_quality", "jpeg_quality_max", "light_factor",
}

// beginning are the keys that only say what a run begins with.
var beginning = []string{"resume_from_checkpoint", "resume_experiment", "fork_experiment", "initial_weights"}

// Diff lists what differs from old to new, in the order of the struct. The keys
// that only say what a run begins with are left out.
func Diff(old, new Config) []Change {
	var changes []Change
	a, b := reflect.ValueOf(old), reflect.ValueOf(new)
	for i := range a.NumField() {
		key := a.Type().Field(i).Tag.Get("json")
		if slices.Contains(beginning, key) {
			continue
		}
		if x, y := a.Field(i).Interface(), b.Field(i).Interface(); x != y {
			shapes := key == "model" || key == "model_features" || key == "model_bilinear" || key == "model_depth"
			changes = append(changes, Change{key, show(x), show(y), shapes, slices.Contains(shapesLoss, key)})
		}
	}
	return changes
}

func show(v any) string {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // people read it
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// Keys lists the JSON names of all keys, in the order of the struct.
func Keys() []string {
	t := reflect.TypeFor[Config]()
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("json")
	}
	return keys
}

// Name is what a key is called in the configuration cell: "BatchSize" for "batch_size".
func Name(key string) string {
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("json") == key {
			return f.Name
		}
	}
	return key
}

func nearest(word string, among []string) string {
	return slices.MinFunc(among, func(a, b string) int { return distance(word, a) - distance(word, b) })
}

// distance is Levenshtein's: the least number of letters to insert, remove or replace.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
