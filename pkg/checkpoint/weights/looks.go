package weights

import (
	"regexp"
	"strings"
)

// looks tell well-known restoration networks by the names of their tensors, all
// of which must be there; the more particular ones first.
var looks = []struct {
	network string
	names   []string
}{
	{"FFDNet", []string{`^intermediate_dncnn\.`}},
	{"DnCNN", []string{`^(dncnn\.)+0\.weight$`}},
	{"DRUNet", []string{`^m_head\.`, `^m_down1\.`, `^m_tail\.`}},
	{"SwinIR", []string{`^layers\.0\.residual_group\.blocks\.`, `^conv_first\.`}},
	{"Restormer", []string{`^encoder_level1\.0\.attn\.temperature$`}},
	{"NAFNet", []string{`^intro\.weight$`, `^encoders\.0\.0\.`, `^ending\.weight$`}},
	{"RRDBNet (ESRGAN, Real-ESRGAN)", []string{`^(body|RRDB_trunk)\.0\.(rdb1|RDB1)\.conv1\.`}},
	{"EDSR", []string{`^head\.0\.weight$`, `^body\.0\.body\.0\.weight$`}},
	{"MPRNet", []string{`^stage1_encoder\.`}},
	{"Uformer", []string{`^encoderlayer_0\.`}},
	{"a plain sequence of convolutions, as KAIR's DnCNN and FFDNet are", []string{`^model\.0\.weight$`, `^model\.2\.weight$`}},
}

// LooksLike names the well-known network whose tensors have names like these, or
// is "". It is for messages: names prove nothing.
func (w *Weights) LooksLike() string {
	var all strings.Builder
	for _, t := range w.Tensors {
		all.WriteString(t.Name + "\n")
	}
	for _, l := range looks {
		fits := true
		for _, name := range l.names {
			fits = fits && regexp.MustCompile("(?m)"+name).MatchString(all.String())
		}
		if fits {
			return l.network
		}
	}
	return ""
}
