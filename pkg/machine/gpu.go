package machine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// atFirst is for the driver's program on a machine that has just been started.
	atFirst = 2 * time.Second
	// meanwhile is for the same while a run goes on: when it is interrupted its
	// process has 5 s to live, and saving may take 4 of them.
	meanwhile = 500 * time.Millisecond
	// notAgain is for how long a driver that did not answer is left alone.
	notAgain = time.Minute
)

// GPUMemory returns the memory of each NVIDIA GPU, as the driver's program
// nvidia-smi tells it; none where it does not answer within two seconds, or did
// not within the last minute.
func GPUMemory() []Memory { return gpuMemory(time.Now().Add(atFirst)) }

func gpuMemory(deadline time.Time) []Memory {
	var list []Memory
	for _, row := range nvidiaSMI("--query-gpu=memory.total,memory.free", deadline) {
		list = append(list, Memory{row[0] * MB, row[len(row)-1] * MB})
	}
	return list
}

// VisibleGPUMemory returns the memory of the GPUs that CUDA shows this process, in
// CUDA's order, so that the first is the one that is used unless another is asked
// for. None where the order cannot be told: CUDA_VISIBLE_DEVICES has something
// else than numbers, or the GPUs differ, and CUDA puts the fastest first.
func VisibleGPUMemory() []Memory {
	list := GPUMemory()
	for _, m := range list {
		if m.Total != list[0].Total && os.Getenv("CUDA_DEVICE_ORDER") != "PCI_BUS_ID" {
			return nil
		}
	}
	if names, set := os.LookupEnv("CUDA_VISIBLE_DEVICES"); set {
		return Chosen(list, strings.Split(names, ","))
	}
	return list
}

// Chosen picks from a list by numbers from 0; nil where one is none.
func Chosen(list []Memory, numbers []string) (chosen []Memory) {
	for _, text := range numbers {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 0 || n >= len(list) {
			return nil
		}
		chosen = append(chosen, list[n])
	}
	return chosen
}

// ProcessGPUMemory returns how many bytes this process holds on the GPUs. In a
// container, where the driver knows processes by other numbers, it is what all
// processes hold. 0: unknown, as when nvidia-smi does not answer within half a
// second, or did not within the last minute.
func ProcessGPUMemory() int64 {
	deadline := time.Now().Add(meanwhile)
	pid := int64(os.Getpid())
	var mine, known int64
	for _, row := range nvidiaSMI("--query-compute-apps=pid,used_memory", deadline) {
		if row[0] == pid {
			mine += row[len(row)-1] * MB
		}
	}
	if mine > 0 {
		return mine
	}
	for _, m := range gpuMemory(deadline) {
		known += m.Total - m.Available
	}
	return known
}

// silent is when nvidia-smi failed last.
var silent struct {
	sync.Mutex
	since time.Time
}

// nvidiaSMI returns the answer's rows of two whole numbers; rows with anything
// else ("[N/A]") are left out.
func nvidiaSMI(query string, deadline time.Time) (rows [][]int64) {
	silent.Lock()
	since := silent.since
	silent.Unlock()
	if time.Since(since) < notAgain {
		return nil
	}
	out, ok := within(deadline, "nvidia-smi", query, "--format=csv,noheader,nounits")
	if !ok {
		silent.Lock()
		silent.since = time.Now()
		silent.Unlock()
		return nil
	}
rows:
	for line := range strings.Lines(out) {
		var row []int64
		for field := range strings.SplitSeq(line, ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(field), 10, 64)
			if err != nil {
				continue rows
			}
			row = append(row, n)
		}
		if len(row) == 2 {
			rows = append(rows, row)
		}
	}
	return rows
}

// within runs a program that is given up at the deadline, even one that hangs in
// the driver, where it cannot be killed.
func within(deadline time.Time, name string, args ...string) (out string, ok bool) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	answer := make(chan string, 1)
	go func() {
		defer cancel()
		if raw, err := exec.CommandContext(ctx, name, args...).Output(); err == nil {
			answer <- string(raw)
		}
	}()
	<-ctx.Done() // answered, failed, or too late
	select {
	case out = <-answer:
		return out, true
	default:
		return "", false
	}
}

// NVIDIADriver returns the major version of NVIDIA's driver, such as 580; 0:
// unknown.
func NVIDIADriver() int { return nvidiaDriver("/proc") }

var driverVersion = regexp.MustCompile(`Module.*?\s(\d+)\.\d+`)

func nvidiaDriver(proc string) int {
	text, err := os.ReadFile(filepath.Join(proc, "driver/nvidia/version"))
	if found := driverVersion.FindSubmatch(text); err == nil && found != nil {
		n, _ := strconv.Atoi(string(found[1])) // digits
		return n
	}
	return 0
}
