// Runs ONNX files with ONNX Runtime: node run_onnx.js JOBS, a JSON list of {model, shape, input, output}, where
// inputs and outputs are files of little-endian float32. NODE_PATH must name a folder with onnxruntime-node.
const fs = require("fs");
const ort = require("onnxruntime-node");

async function main() {
  const sessions = new Map();
  for (const job of JSON.parse(fs.readFileSync(process.argv[2]))) {
    if (!sessions.has(job.model)) {
      sessions.set(job.model, await ort.InferenceSession.create(job.model));
    }
    const raw = fs.readFileSync(job.input);
    const values = new Float32Array(raw.buffer, raw.byteOffset, raw.length / 4);
    const result = await sessions.get(job.model).run({ degraded: new ort.Tensor("float32", values, job.shape) });
    const y = result.restored;
    if (y.dims.join() !== job.shape.join()) {
      throw new Error(`${job.model}: the output is ${y.dims}, want ${job.shape}`);
    }
    fs.writeFileSync(job.output, Buffer.from(y.data.buffer, y.data.byteOffset, y.data.byteLength));
  }
  console.log("ok");
}

main().catch((err) => {
  console.error(err.message);
  process.exit(1);
});
