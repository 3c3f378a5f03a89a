package machine

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// GPUMemory returns the memory of each NVIDIA GPU, as the driver's program
// nvidia-smi tells it; none where it does not answer within two seconds.
func GPUMemory() []Memory {
	var list []Memory
	for _, row := range nvidiaSMI("--query-gpu=memory.total,memory.free") {
		list = append(list, Memory{row[0] * MB, row[len(row)-1] * MB})
	}
	return list
}

// ProcessGPUMemory returns how many bytes this process holds on the GPUs. In a
// container, where the driver knows processes by other numbers, it is what all
// processes hold. 0: unknown.
func ProcessGPUMemory() int64 {
	pid := int64(os.Getpid())
	var mine, known int64
	for _, row := range nvidiaSMI("--query-compute-apps=pid,used_memory") {
		if row[0] == pid {
			mine += row[len(row)-1] * MB
		}
	}
	if mine > 0 {
		return mine
	}
	for _, m := range GPUMemory() {
		known += m.Total - m.Available
	}
	return known
}

// nvidiaSMI returns the answer's rows of whole numbers; rows with anything else
// ("[N/A]") are left out.
func nvidiaSMI(query string) (rows [][]int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nvidia-smi", query, "--format=csv,noheader,nounits").Output()
	if err != nil {
		return nil
	}
rows:
	for line := range strings.Lines(string(out)) {
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
