package score

import (
	"fmt"
	"strconv"
	"strings"
)

// Levels reads noise levels such as "25" or "15,25,50".
func Levels(text string) (levels []float64, err error) {
	for _, part := range strings.Split(text, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(v >= 0 && v <= 255) {
			return nil, fmt.Errorf("SIGMA is %q; it must be a noise level of 0 to 255 grey levels, or several with commas between them, such as 15,25,50", text)
		}
		levels = append(levels, v)
	}
	return levels, nil
}
