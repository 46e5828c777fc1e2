// The samples of the documentation, as they are printed.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The sample at the head of `sdk.js`: a module. */
export function sampleOfSdk() {
  const comment = /\/\*\*([\s\S]*?)\*\//.exec(read('web/sdk.js'))[1];
  return comment.split('\n').flatMap((line) => /^ \* {5}(.*)$/.exec(line)?.[1] ?? (/^ \*$/.test(line) ? '' : [])).join('\n');
}

/** The samples of README: the scripts of its HTML blocks. */
export function samplesOfReadme() {
  const blocks = [...read('README.md').matchAll(/```html\n([\s\S]*?)```/g)];
  return blocks.map(([, html]) => /<script type="module">([\s\S]*?)<\/script>/.exec(html)[1]);
}

/** Serves a page of somebody's own, with nothing in it but a sample; `sdk` is where the module really is. */
export async function servePage(sample, sdk) {
  const code = sample.replaceAll(/"[^"]*\/sdk\.js"/g, JSON.stringify(sdk));
  const html = `<!doctype html><meta charset="utf-8"><body><script type="module">${code}</script>`;
  const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(html));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${server.address().port}/`, stop: () => server.close() };
}
