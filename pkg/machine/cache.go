package machine

import (
	"os"
	"path/filepath"
)

// CacheFolder returns the folder for what can be made again, such as "pixels":
// it may be deleted at any time and need not exist. It lies in the user's cache
// folder (~/.cache/rekindle), or in the one that the environment variable
// REKINDLE_CACHE_DIR names. Where that is "off", nothing is kept: "".
func CacheFolder(of string) (string, error) {
	dir := os.Getenv("REKINDLE_CACHE_DIR")
	if dir == "off" {
		return "", nil
	}
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(user, "rekindle")
	}
	return filepath.Join(dir, of), nil
}
