// Our own port mapping client, the example `port_map` of jackfield-driver, inside a namespace.

import { driverExample } from './server.mjs';
import { until } from './wait.mjs';

const PROGRAM = driverExample('port_map');

/** Asks what a gateway offers; resolves with what it says of each dialect. */
export async function probe(namespace, gateway = []) {
  const output = await namespace.succeed(PROGRAM, ['probe', ...gateway]);
  const lines = output.trim().split('\n');
  return Object.fromEntries(lines.map((line) => [line.split(' ')[0], line.slice(line.indexOf(' ') + 1)]));
}

/** A port that is kept mapped. */
export class PortMap {
  #child;

  /** Asks for a port, and resolves when it is mapped. */
  static async start(namespace, dialect, protocol, port, gateway = []) {
    const map = new PortMap(namespace.start(PROGRAM, [dialect, protocol, `${port}`, ...gateway]));
    await until(() => map.output.startsWith('mapped') || !map.#child.isRunning, 'the mapping');
    return map;
  }

  constructor(child) {
    this.#child = child;
  }

  get output() {
    return this.#child.output;
  }

  /** Where it is mapped to and by which dialect, as it was last told. */
  get mapped() {
    const all = [...this.output.matchAll(/^mapped (\S+) by (\S+)$/gm)];
    const [, external, dialect] = all.at(-1) ?? [];
    return { external, dialect };
  }

  /** Ends the mapping; resolves with what the gateway said to that. */
  async stop() {
    await this.#child.stop('SIGINT');
    return /^ended, (.*)$/m.exec(this.output)?.[1];
  }
}
