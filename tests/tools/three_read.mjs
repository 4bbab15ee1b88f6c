// node three_read.mjs NODE_MODULES FILE OUT TIMES…: skin a GLB as three.js does, and write float32 (T,V,3) to OUT.
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, file, out, ...times] = process.argv.slice(2);
const resolve = createRequire(modules + "/").resolve;
const THREE = await import(pathToFileURL(resolve("three").replace(/three\.(cjs|module\.js)$/, "three.module.js")));
const { GLTFLoader } = await import(pathToFileURL(resolve("three/examples/jsm/loaders/GLTFLoader.js")));

const bytes = readFileSync(file);
const gltf = await new GLTFLoader().parseAsync(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength), "");
let mesh = null;
gltf.scene.traverse((item) => { if (item.isMesh) mesh = item; });
const mixer = new THREE.AnimationMixer(gltf.scene);
for (const clip of gltf.animations) mixer.clipAction(clip).play();

const count = mesh.geometry.attributes.position.count;
const vertices = new Float32Array(times.length * count * 3);
const point = new THREE.Vector3();
times.forEach((time, frame) => {
  mixer.setTime(Number(time));
  gltf.scene.updateMatrixWorld(true);
  for (let index = 0; index < count; index++) {
    mesh.getVertexPosition(index, point).applyMatrix4(mesh.matrixWorld).toArray(vertices, (frame * count + index) * 3);
  }
});
writeFileSync(out, vertices);
