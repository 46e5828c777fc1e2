// A camera made of arithmetic: somebody's outline before a coloured wall, nodding gently.

import { writeFileSync } from 'node:fs';

const WIDTH = 640;
const HEIGHT = 480;
const FRAMES = 24;
const FRAMES_PER_SECOND = 12;

/** Colours as red, green and blue: the wall at the top and at the bottom, the clothes, the face. */
export const PEOPLE = Object.freeze({
  ann: { top: [246, 205, 150], bottom: [214, 112, 88], clothes: [40, 66, 92], face: [92, 54, 48] },
  bob: { top: [160, 214, 208], bottom: [44, 116, 130], clothes: [232, 176, 84], face: [222, 170, 138] },
});

/** Writes a raw video (YUV4MPEG2) that Chromium takes for a camera. */
export function writeCamera(path, person) {
  const parts = [Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F${FRAMES_PER_SECOND}:1 Ip A1:1 C420jpeg\n`)];
  for (let frame = 0; frame < FRAMES; frame += 1) {
    const phase = (2 * Math.PI * frame) / FRAMES;
    parts.push(Buffer.from('FRAME\n'), picture(person, 14 * Math.sin(phase), 5 * Math.cos(2 * phase)));
  }
  writeFileSync(path, Buffer.concat(parts));
}

/** One frame: the luma of each pixel, then the two chromas of each block of four. */
function picture(person, sway, nod) {
  const luma = Buffer.alloc(WIDTH * HEIGHT);
  const chroma = [Buffer.alloc(luma.length / 4), Buffer.alloc(luma.length / 4)];
  for (let y = 0; y < HEIGHT; y += 1) {
    for (let x = 0; x < WIDTH; x += 1) {
      const [red, green, blue] = colour(person, x, y, sway, nod);
      luma[y * WIDTH + x] = 0.299 * red + 0.587 * green + 0.114 * blue;
      if (x % 2 || y % 2) continue;
      const at = (y / 2) * (WIDTH / 2) + x / 2;
      chroma[0][at] = 128 - 0.169 * red - 0.331 * green + 0.5 * blue;
      chroma[1][at] = 128 + 0.5 * red - 0.419 * green - 0.081 * blue;
    }
  }
  return Buffer.concat([luma, ...chroma]);
}

function colour({ top, bottom, clothes, face }, x, y, sway, nod) {
  const wall = mix(top, bottom, y / HEIGHT);
  const shoulders = mix(wall, clothes, inside(x - 320 - sway / 2, y - 590, 235, 235));
  const neck = mix(shoulders, mix(face, [0, 0, 0], 0.15), inside(x - 320 - sway, y - 335, 42, 70));
  return mix(neck, face, inside(x - 320 - sway, y - 215 - nod, 88, 112));
}

/** 1 inside an ellipse about the origin, 0 outside, and a soft edge between. */
function inside(x, y, width, height) {
  const distance = Math.hypot(x / width, y / height);
  return Math.min(1, Math.max(0, (1 - distance) * 60));
}

function mix(one, other, share) {
  return one.map((value, index) => value + (other[index] - value) * share);
}
