package cell

import (
	"bytes"
	"image/jpeg"
	"image/png"
	"sync/atomic"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// InNotebook reports whether GoNB runs this program, and so can show pictures.
func InNotebook() bool { return gonbui.IsNotebook }

// A kernel that is gone never reads from its pipe, and writing to it blocks for
// ever. Everything that goes there is therefore sent by one goroutine, waited
// for only so long, and given up for good when that was too long.
const patience = 2 * time.Second

var lost atomic.Bool

func withKernel(f func()) {
	if !InNotebook() || lost.Load() {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		lost.Store(true)
	}
}

func send(data *protocol.DisplayData) { withKernel(func() { gonbui.SendData(data) }) }

// Flush waits until the front end has everything that was sent.
func Flush() { withKernel(gonbui.Sync) }

// ShowPNG shows a picture. alt is what it is, in words: for who cannot see it, and for
// pages that notebooks are exported to.
func ShowPNG(encoded []byte, alt string) {
	kind, picture := protocol.MIMEImagePNG, encoded
	if photo := asPhoto(encoded); photo != nil {
		kind, picture = "image/jpeg", photo
	}
	send(&protocol.DisplayData{Data: map[protocol.MIMEType]any{kind: picture}, Metadata: alternative(alt)})
	Flush()
}

// alternative is the metadata of a picture from which nbconvert takes its alternative
// text.
func alternative(alt string) map[string]any { return map[string]any{"alt": alt} }

// largePNG is where a picture begins to weigh on the notebook's file, in which
// front ends keep it.
const largePNG = 200 << 10

// asPhoto returns a large picture as JPEG, or nil where that saves little: noise
// and photographs, which are most of an executed notebook, shrink to a quarter.
func asPhoto(encoded []byte) []byte {
	if len(encoded) < largePNG {
		return nil
	}
	im, err := png.Decode(bytes.NewReader(encoded))
	if err != nil {
		return nil
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: 90}); err != nil || b.Len() > len(encoded)/2 {
		return nil
	}
	return b.Bytes()
}

// Display is a place under the cell whose content can be replaced.
type Display struct{ id string }

// NewDisplay takes an identity of its own: one that an earlier run of the cell
// used would be drawn there.
func NewDisplay() Display { return Display{"rekindle_" + gonbui.UniqueId()} }

func (d Display) HTML(html, plain string) {
	send(&protocol.DisplayData{DisplayID: d.id, Data: map[protocol.MIMEType]any{
		protocol.MIMETextHTML: html, protocol.MIMETextPlain: plain,
	}})
}

func (d Display) PNG(encoded []byte, alt string) {
	send(&protocol.DisplayData{DisplayID: d.id, Data: map[protocol.MIMEType]any{protocol.MIMEImagePNG: encoded}, Metadata: alternative(alt)})
}
