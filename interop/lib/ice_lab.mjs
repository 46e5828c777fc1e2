// A lab for ICE: hosts behind NATs and a firewall, and a STUN and TURN server.

import { Lab } from './lab.mjs';

/** The hosts are called like their sites; those called `open` have public addresses, and `walled` has no UDP. */
const TOML = `
  [server]
  serve = true
  # An agent that is ended leaves its allocation behind.
  flags = ["--user", "ann:s3cret-of-the-lab", "--turn-max-allocations-per-user", "1000", "--turn-max-allocations-per-network", "1000"]
  [site.cone-a]
  nat = "port-restricted-cone"
  [site.cone-b]
  nat = "port-restricted-cone"
  [site.symmetric-a]
  nat = "symmetric"
  [site.symmetric-b]
  nat = "symmetric"
  [site.walled]
  nat = "port-restricted-cone"
  firewall = "no-udp"
  [host.cone-a]
  site = "cone-a"
  [host.cone-b]
  site = "cone-b"
  [host.symmetric-a]
  site = "symmetric-a"
  [host.symmetric-b]
  site = "symmetric-b"
  [host.walled]
  site = "walled"
  [host.open-a]
  [host.open-b]
`;

export const startIceLab = (name) => Lab.up(name, TOML);

/** Where the STUN and TURN server is, and who may use it. */
export const SERVER = '198.18.0.1:3478';
export const USER = { username: 'ann', password: 's3cret-of-the-lab' };
