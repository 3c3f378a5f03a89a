package setup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"rekindle/pkg/durable"
	"rekindle/pkg/machine"
	"rekindle/pkg/tree"
)

// cuda is XLA's plugin for a major version of CUDA, as JAX publishes it on PyPI,
// and the libraries of NVIDIA that jax-cuda13-plugin asks for.
type cuda struct {
	plugin    string // the package
	module    string // its folder in jax_plugins
	gigabytes float64
	libraries []string
}

const jaxVersion = "0.12.0.1"

var (
	cuda13 = cuda{"jax-cuda13-pjrt", "xla_cuda13", 2.5, []string{
		"nvidia-cublas==13.*", "nvidia-cuda-cupti==13.*", "nvidia-cuda-nvcc==13.*", "nvidia-cuda-nvrtc==13.*", "nvidia-cuda-runtime==13.*",
		"nvidia-cudnn-cu13>=9.12.0.46,<10", "nvidia-cufft==12.*", "nvidia-cusolver==12.*", "nvidia-cusparse==12.*",
		"nvidia-nccl-cu13>=2.27.7,<3", "nvidia-nvjitlink==13.*", "nvidia-nvshmem-cu13>=3.3.20,<4", "nvidia-nvvm==13.*"}}
	cuda12 = cuda{"jax-cuda12-pjrt", "xla_cuda12", 3.2, []string{
		"nvidia-cublas-cu12", "nvidia-cuda-cupti-cu12", "nvidia-cuda-nvcc-cu12>=12.6.85", "nvidia-cuda-nvrtc-cu12", "nvidia-cuda-runtime-cu12",
		"nvidia-cudnn-cu12>=9.10.2.21,<10", "nvidia-cufft-cu12", "nvidia-cusolver-cu12", "nvidia-cusparse-cu12",
		"nvidia-nccl-cu12>=2.18.1,<3", "nvidia-nvjitlink-cu12", "nvidia-nvshmem-cu12>=3.2.5,<4"}}
)

// firstDriverFor13 is the first major version of NVIDIA's driver that runs CUDA
// 13; each runs what is made for CUDA 12, too.
const firstDriverFor13 = 580

func cudaFor(driver int) cuda {
	if driver >= firstDriverFor13 {
		return cuda13
	}
	return cuda12
}

// unpackedTimes is what wheels take on the disk, beside themselves, at most.
const unpackedTimes = 3

// installCUDA fetches XLA's plugin for CUDA and NVIDIA's libraries through pip.
func (s *Clone) installCUDA(ctx context.Context) error {
	if os.Getenv("PJRT_PLUGIN_LIBRARY_PATH") != "" {
		return lack{"plugins are looked for in PJRT_PLUGIN_LIBRARY_PATH alone, where that for CUDA does not find its libraries", "unset PJRT_PLUGIN_LIBRARY_PATH && make setup"}
	}
	return s.inFolder(ctx, func(dir string) error {
		if has("cuda") { // another clone was faster
			return nil
		}
		return s.installWheels(ctx, cudaFor(machine.NVIDIADriver()), dir)
	})
}

// installWheels makes the folder "nvidia" in dir, with the plugin and NVIDIA's
// libraries, or leaves what was there. The plugin finds the libraries by its own
// search path ($ORIGIN/../nvidia), those each other.
func (s *Clone) installWheels(ctx context.Context, c cuda, dir string) error {
	python, err := s.pip(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("📥 Installing XLA for the GPU with pip: %s %s and NVIDIA's libraries, %.1f GB to download\n", c.plugin, jaxVersion, c.gigabytes)
	need := int64(c.gigabytes * unpackedTimes * 1e9)
	if free, err := machine.FreeDisk(dir); err == nil && free < need {
		return fmt.Errorf("it takes up to %.0f GB on the disk while it is installed, and %s has %.0f", float64(need)/1e9, dir, float64(free)/1e9)
	}
	scratch, err := os.MkdirTemp(dir, durable.TempPrefix+"cuda-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	args := append([]string{"-m", "pip", "install", "--only-binary=:all:", "--retries=1", "--target=" + scratch, c.plugin + "==" + jaxVersion}, c.libraries...)
	if s.Logged(ctx, []string{"TMPDIR=" + scratch}, python, args...) != nil {
		return fmt.Errorf("pip could not install %s and NVIDIA's libraries, see %s", c.plugin, s.Relative(s.Log()))
	}
	nvidia := filepath.Join(scratch, "nvidia")
	if err := os.Rename(filepath.Join(scratch, "jax_plugins", c.module, "xla_cuda_plugin.so"), filepath.Join(nvidia, "pjrt_c_api_cuda_plugin.so")); err != nil {
		return fmt.Errorf("what pip installed is not laid out as expected: %w", err)
	}
	// The licences lie in the packages' descriptions.
	licences := filepath.Join(nvidia, "licences")
	if err := os.Mkdir(licences, 0o755); err != nil {
		return err
	}
	for _, d := range tree.Glob(scratch, "*.dist-info") {
		if err := os.Rename(d, filepath.Join(licences, filepath.Base(d))); err != nil {
			return err
		}
	}
	to := filepath.Join(dir, "nvidia")
	if _, err := os.Lstat(to); err == nil { // without a plugin; what is in scratch goes with it
		if err := os.Rename(to, filepath.Join(scratch, "before")); err != nil {
			return err
		}
	}
	if err := os.Rename(nvidia, to); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}
