// A WebRTC peer in a process of its own, which takes orders as lines of JSON: `examples/peer_stdio.rs` says which.

import { StdioProgram } from './stdio_program.mjs';

export class StdioPeer extends StdioProgram {
  offer = () => this.order('offer');
  answer = (sdp) => this.order('answer', { sdp });
  accept = (sdp) => this.order('accept', { sdp });
  exchange = (sizes) => this.order('exchange', { sizes });
  close = () => this.order('close');
  closed = () => this.order('closed');
  stats = () => this.order('stats');
}
