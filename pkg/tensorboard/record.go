package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// A file is a sequence of TFRecords:
//
//	uint64  length of the data
//	uint32  masked CRC-32C of the eight bytes of the length
//	byte    data[length]
//	uint32  masked CRC-32C of the data
//
// all little-endian. The data is a protobuf message, tensorflow.Event.
const (
	headerSize = 12
	footerSize = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the CRC-32C of b, changed as TFRecords have it, so that a checksum
// of data that holds checksums stays a good one.
func masked(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}

// appendRecord appends the record of an event to b.
func appendRecord(b, event []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(event)))
	b = binary.LittleEndian.AppendUint32(b, masked(b[start:]))
	b = append(b, event...)
	return binary.LittleEndian.AppendUint32(b, masked(event))
}

// cutRecord takes the first record off b. ok is false where there is none, or
// one that is incomplete or damaged.
func cutRecord(b []byte) (event, rest []byte, ok bool) {
	if len(b) < headerSize+footerSize || binary.LittleEndian.Uint32(b[8:]) != masked(b[:8]) {
		return nil, nil, false
	}
	length := binary.LittleEndian.Uint64(b)
	b = b[headerSize:]
	if length > uint64(len(b)-footerSize) {
		return nil, nil, false
	}
	event, b = b[:length], b[length:]
	return event, b[footerSize:], binary.LittleEndian.Uint32(b) == masked(event)
}

// Field numbers of tensorflow.Event, .Summary, .Summary.Value and .SessionLog.
const (
	eventWallTime    = 1
	eventStep        = 2
	eventFileVersion = 3
	eventSummary     = 5
	eventSessionLog  = 7

	summaryValue     = 1
	valueTag         = 1
	valueSimpleValue = 2

	sessionLogStatus = 1
	statusStart      = 1
)

// newEvent begins an event; wallTime is in seconds since 1970.
func newEvent(wallTime float64, step int) []byte {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(wallTime))
	if step == 0 { // protobuf leaves zeros out
		return b
	}
	b = protowire.AppendTag(b, eventStep, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(step))
}

// versionEvent has to be the first of every file.
func versionEvent(wallTime float64) []byte {
	b := protowire.AppendTag(newEvent(wallTime, 0), eventFileVersion, protowire.BytesType)
	return protowire.AppendString(b, "brain.Event:2")
}

// startEvent tells TensorBoard to forget what older files have for this step
// and those after it.
func startEvent(wallTime float64, step int) []byte {
	status := protowire.AppendTag(nil, sessionLogStatus, protowire.VarintType)
	status = protowire.AppendVarint(status, statusStart)
	b := protowire.AppendTag(newEvent(wallTime, step), eventSessionLog, protowire.BytesType)
	return protowire.AppendBytes(b, status)
}

// scalar is the value of one curve at one step.
type scalar struct {
	tag   string
	value float64
}

// scalarsEvent holds all scalars of a step, so that they are written together
// or not at all.
func scalarsEvent(wallTime float64, step int, scalars []scalar) []byte {
	var summary []byte
	for _, s := range scalars {
		value := protowire.AppendTag(nil, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, s.tag)
		value = protowire.AppendTag(value, valueSimpleValue, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(s.value)))
		summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
	}
	b := protowire.AppendTag(newEvent(wallTime, step), eventSummary, protowire.BytesType)
	return protowire.AppendBytes(b, summary)
}

// outline is what there is to know of an event that has been written.
type outline struct {
	step    int
	start   bool
	summary []byte // nil: it has none
}

// parseOutline reads an event that this package wrote; ok is false for what is
// no protobuf message.
func parseOutline(event []byte) (o outline, ok bool) {
	for len(event) > 0 {
		field, kind, n := protowire.ConsumeTag(event)
		if n < 0 {
			return o, false
		}
		event = event[n:]
		switch field {
		case eventStep:
			step, _ := protowire.ConsumeVarint(event)
			o.step = int(step)
		case eventSummary:
			o.summary, _ = protowire.ConsumeBytes(event)
		case eventSessionLog:
			o.start = true
		}
		if n = protowire.ConsumeFieldValue(field, kind, event); n < 0 {
			return o, false
		}
		event = event[n:]
	}
	return o, true
}

// bytesOf returns the first field of that number in a message, or nil.
func bytesOf(message []byte, number protowire.Number) []byte {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		if message = message[n:]; field == number && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			return value
		}
		if n = protowire.ConsumeFieldValue(field, kind, message); n < 0 {
			return nil
		}
		message = message[n:]
	}
	return nil
}
