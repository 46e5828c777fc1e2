// The nine kinds of NAT: mapping times filtering, in the words of RFC 4787.

export const DEPENDENCES = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'];

/** Every pair of a mapping and a filtering. */
export const NINE = DEPENDENCES.flatMap((mapping) => DEPENDENCES.map((filtering) => ({ mapping, filtering })));

/** The names that RFC 3489 had for four of them. */
export const LABELS = {
  'endpoint-independent endpoint-independent': 'full cone',
  'endpoint-independent address-dependent': 'restricted cone',
  'endpoint-independent address-and-port-dependent': 'port-restricted cone',
  'address-and-port-dependent address-and-port-dependent': 'symmetric',
};
