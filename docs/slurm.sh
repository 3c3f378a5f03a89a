#!/bin/bash
# Trains one network for each seed, as an array of Slurm jobs. A job that comes to
# its time limit, or is preempted, saves within seconds and is queued again; it
# then goes on in the middle of the epoch. See docs/scaling.md.
#
#   make setup && sbatch --array=1-8 docs/slurm.sh
#
# Submit it at the top of a clone that all nodes can read and write.
#SBATCH --job-name=rekindle
#SBATCH --array=1-4
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
#SBATCH --output=slurm-%A_%a.log
# For a GPU add: --gres=gpu:1

set -u
cd "${SLURM_SUBMIT_DIR:-.}" || exit 1
notebook=${NOTEBOOK:-notebooks/unet/gaussian/unet_gaussian_bilinear.ipynb}

# What differs from job to job. "auto" goes on with the newest experiment of this
# name and begins one where there is none, so that the first start and every
# later one are the same command. "latest" could be another job's. The noise
# depends on the seed, so each seed needs degraded copies of its own: in one folder,
# jobs would make each other's anew, in the middle of training.
seed=$SLURM_ARRAY_TASK_ID
export REKINDLE_CONFIG="{
  \"seed\": $seed,
  \"experiment_name\": \"seed_$seed\",
  \"train_degraded_dir\": \"data/degraded/gaussian/seed_$seed/train\",
  \"val_degraded_dir\": \"data/degraded/gaussian/seed_$seed/val\",
  \"resume_from_checkpoint\": true,
  \"resume_experiment\": \"auto\"
}"

# This job alone: SLURM_JOB_ID of one of them means the whole array.
job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID

# Two minutes before the time limit Slurm sends USR1 to this script alone. The
# training below is asked to save and end, and the job goes back into the queue.
# A job that is preempted gets TERM instead; because it ends by itself in the time
# that is left to it, Slurm takes it for failed and has to be told, too. A job
# that somebody cancels is neither and is not queued again.
again=no
preempted() { scontrol show job "$job" | grep -q ' PreemptTime=[0-9]'; }
trap 'again=yes; scancel --signal=TERM "$job"' USR1

srun build/bin/launch run "$notebook" &
training=$!
status=138 # 128 + USR1: the signal ended the waiting, not the training
while [ "$status" -eq 138 ]; do
	wait "$training"
	status=$?
done

if [ "$status" -ne 0 ] && { [ "$again" = yes ] || preempted; }; then
	scontrol requeue "$job"
fi
exit "$status"
