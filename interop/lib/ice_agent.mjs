// An ICE agent in a process of its own, which takes orders as lines of JSON: `examples/ice_stdio.rs` says which.

import { StdioProgram } from './stdio_program.mjs';

export class IceAgent extends StdioProgram {
  gather = (options) => this.order('gather', options);
  meet = (description) => this.order('meet', description);
  candidate = (candidate) => this.order('candidate', { candidate });
  connected = () => this.order('connected');
  exchange = (count, size) => this.order('exchange', { count, size });
  restart = () => this.order('restart');
  times = () => this.order('times');
}
