"""libnice as an agent that takes orders as lines of JSON, like `examples/ice_stdio.rs`.

Its callbacks come on the thread of its main loop; each order has a thread of its own.
"""

import ctypes
import json
import resource
import sys
import threading
import time
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_uint, c_void_p

REPETITION = 0.02
PATIENCE = 60
CONNECTED, READY = 3, 4
LITE = 1 << 2
RELAY_TYPES = {"udp": 0, "tcp": 1, "tls": 2}
COMPONENT = 1

nice = ctypes.CDLL("libnice.so.10")
glib = ctypes.CDLL("libglib-2.0.so.0")
gobject = ctypes.CDLL("libgobject-2.0.so.0")

Received = CFUNCTYPE(None, c_void_p, c_uint, c_uint, c_uint, c_void_p, c_void_p)
Gathered = CFUNCTYPE(None, c_void_p, c_uint, c_void_p)
Changed = CFUNCTYPE(None, c_void_p, c_uint, c_uint, c_uint, c_void_p)
Paired = CFUNCTYPE(None, c_void_p, c_uint, c_uint, c_void_p, c_void_p, c_void_p)


class GSList(ctypes.Structure):
    pass


GSList._fields_ = [("data", c_void_p), ("next", POINTER(GSList))]


def declare(function, result, *arguments):
    function.restype, function.argtypes = result, arguments


declare(glib.g_main_context_new, c_void_p)
declare(glib.g_main_loop_new, c_void_p, c_void_p, c_int)
declare(glib.g_main_loop_run, None, c_void_p)
declare(glib.g_free, None, c_void_p)
declare(glib.g_slist_append, POINTER(GSList), POINTER(GSList), c_void_p)
declare(glib.g_slist_free_full, None, POINTER(GSList), c_void_p)
declare(gobject.g_signal_connect_data, ctypes.c_ulong, c_void_p, c_char_p, c_void_p, c_void_p, c_void_p, c_int)
declare(nice.nice_agent_new_full, c_void_p, c_void_p, c_int, c_int)
declare(nice.nice_agent_add_stream, c_uint, c_void_p, c_uint)
declare(
    nice.nice_agent_set_relay_info,
    *(c_int, c_void_p, c_uint, c_uint, c_char_p, c_uint, c_char_p, c_char_p, c_int),
)
declare(nice.nice_agent_attach_recv, c_int, c_void_p, c_uint, c_uint, c_void_p, Received, c_void_p)
declare(nice.nice_agent_gather_candidates, c_int, c_void_p, c_uint)
declare(nice.nice_agent_get_local_candidates, POINTER(GSList), c_void_p, c_uint, c_uint)
declare(
    nice.nice_agent_get_local_credentials,
    *(c_int, c_void_p, c_uint, POINTER(c_void_p), POINTER(c_void_p)),
)
declare(nice.nice_agent_generate_local_candidate_sdp, c_void_p, c_void_p, c_void_p)
declare(nice.nice_agent_parse_remote_candidate_sdp, c_void_p, c_void_p, c_uint, c_char_p)
declare(nice.nice_agent_set_remote_credentials, c_int, c_void_p, c_uint, c_char_p, c_char_p)
declare(nice.nice_agent_set_remote_candidates, c_int, c_void_p, c_uint, c_uint, POINTER(GSList))
declare(nice.nice_agent_get_component_state, c_uint, c_void_p, c_uint, c_uint)
declare(
    nice.nice_agent_get_selected_pair,
    *(c_int, c_void_p, c_uint, c_uint, POINTER(c_void_p), POINTER(c_void_p)),
)
declare(nice.nice_agent_send, c_int, c_void_p, c_uint, c_uint, c_uint, c_char_p)
declare(nice.nice_agent_restart, c_int, c_void_p)


def moment():
    """The time, and the packets and bytes that this host has sent by then."""
    sent = [0, 0]
    with open("/proc/net/dev") as table:
        for line in table.readlines()[2:]:
            name, counts = line.split(":")
            if name.strip() != "lo":
                size, packets = map(int, counts.split()[8:10])
                sent = [sent[0] + packets, sent[1] + size]
    return time.time_ns() // 1000, sent


def sent_between(met, first):
    if not met or not first:
        return None
    packets, size = (later - earlier for earlier, later in zip(met[1], first[1]))
    return {"packets": packets, "bytes": size}


def address(text):
    host, port = text.split(":")
    return host.encode(), int(port)


def take(pointer):
    """Reads a string of libnice's, and frees it."""
    text = ctypes.string_at(pointer).decode()
    glib.g_free(pointer)
    return text


class Agent:
    def __init__(self):
        self.gathered = threading.Event()
        self.changed = threading.Condition()
        self.answered = set()
        self.number = 0
        self.met = None
        self.first = None
        self.is_lite = False

    def gather(self, controlling, stun=None, turn=None, relay=False, tcp=False, lite=False):
        self.is_lite = lite
        context = glib.g_main_context_new()
        self.agent = nice.nice_agent_new_full(context, 0, LITE if lite else 0)
        self.set("controlling-mode", int(controlling))
        self.set("ice-tcp", int(tcp))
        self.set("ice-udp", 1)
        self.set("upnp", 0)
        self.set("force-relay", int(relay))
        if stun:
            host, port = address(stun)
            self.set("stun-server", host)
            self.set("stun-server-port", port)
        self.callbacks = [Received(self.receive), Gathered(self.has_gathered), Changed(self.has_changed)]
        self.callbacks.append(Paired(self.has_paired))
        received, gathered, changed, paired = self.callbacks
        self.connect("candidate-gathering-done", gathered)
        self.connect("component-state-changed", changed)
        self.connect("new-selected-pair-full", paired)
        self.stream = nice.nice_agent_add_stream(self.agent, 1)
        if turn:
            host, port = address(turn["address"])
            user, password = turn["username"].encode(), turn["password"].encode()
            kind = RELAY_TYPES[turn["transport"]]
            nice.nice_agent_set_relay_info(self.agent, self.stream, COMPONENT, host, port, user, password, kind)
        nice.nice_agent_attach_recv(self.agent, self.stream, COMPONENT, context, received, None)
        loop = glib.g_main_loop_new(context, 0)
        threading.Thread(target=glib.g_main_loop_run, args=(loop,), daemon=True).start()
        if not nice.nice_agent_gather_candidates(self.agent, self.stream):
            raise RuntimeError("libnice cannot gather")
        if not self.gathered.wait(PATIENCE):
            raise RuntimeError("libnice does not stop gathering")
        return self.describe()

    def set(self, name, value):
        gobject.g_object_set(c_void_p(self.agent), name.encode(), value, None)

    def connect(self, signal, callback):
        gobject.g_signal_connect_data(self.agent, signal.encode(), callback, None, None, 0)

    def describe(self):
        ufrag, password = c_void_p(), c_void_p()
        nice.nice_agent_get_local_credentials(self.agent, self.stream, byref(ufrag), byref(password))
        candidates = nice.nice_agent_get_local_candidates(self.agent, self.stream, COMPONENT)
        texts, entry = [], candidates
        while entry:
            texts.append(self.text(entry.contents.data))
            entry = entry.contents.next
        glib.g_slist_free_full(candidates, ctypes.cast(nice.nice_candidate_free, c_void_p))
        return {"ufrag": take(ufrag.value), "password": take(password.value), "lite": self.is_lite, "candidates": texts}

    def text(self, candidate):
        return take(nice.nice_agent_generate_local_candidate_sdp(self.agent, candidate)).removeprefix("a=")

    def meet(self, ufrag, password, candidates, lite=False):
        self.met = self.met or moment()
        nice.nice_agent_set_remote_credentials(self.agent, self.stream, ufrag.encode(), password.encode())
        self.add(candidates)

    def candidate(self, candidate):
        self.add([candidate])

    def add(self, candidates):
        parsed = POINTER(GSList)()
        for text in candidates:
            one = nice.nice_agent_parse_remote_candidate_sdp(self.agent, self.stream, f"a={text}".encode())
            if not one:
                raise ValueError(f"libnice does not understand {text}")
            parsed = glib.g_slist_append(parsed, one)
        if nice.nice_agent_set_remote_candidates(self.agent, self.stream, COMPONENT, parsed) < 0:
            raise ValueError(f"libnice takes none of {candidates}")
        glib.g_slist_free_full(parsed, ctypes.cast(nice.nice_candidate_free, c_void_p))

    def has_gathered(self, *_):
        self.gathered.set()

    def has_changed(self, *_):
        with self.changed:
            self.changed.notify_all()

    def has_paired(self, *_):
        with self.changed:
            self.changed.notify_all()

    def receive(self, _agent, _stream, _component, length, buffer, _data):
        self.first = self.first or moment()
        message = ctypes.string_at(buffer, length)
        if message[:1] == b"q":
            nice.nice_agent_send(self.agent, self.stream, COMPONENT, length, b"a" + message[1:])
        else:
            with self.changed:
                self.answered.add(message[1:])
                self.changed.notify_all()

    def pair(self):
        local, remote = c_void_p(), c_void_p()
        found = nice.nice_agent_get_selected_pair(self.agent, self.stream, COMPONENT, byref(local), byref(remote))
        return (local.value, remote.value) if found else None

    def state(self):
        return nice.nice_agent_get_component_state(self.agent, self.stream, COMPONENT)

    def connected(self):
        with self.changed:
            if not self.changed.wait_for(lambda: self.state() == READY, PATIENCE):
                raise RuntimeError(f"libnice is in state {self.state()}")
        kinds = [self.text(candidate).split(" typ ")[1].split(" ")[0] for candidate in self.pair()]
        transport = self.text(self.pair()[0]).split(" ")[2].lower()
        return {"local": kinds[0], "remote": kinds[1], "transport": transport}

    def exchange(self, count, size):
        for _ in range(count):
            self.number += 1
            text = f"{self.number} ".encode()
            text += bytes(index % 251 for index in range(1 + len(text), size))
            question = b"q" + text
            while text not in self.answered:
                if self.state() in (CONNECTED, READY):
                    nice.nice_agent_send(self.agent, self.stream, COMPONENT, len(question), question)
                with self.changed:
                    if text not in self.answered:
                        self.changed.wait(REPETITION)
            self.answered.discard(text)

    def restart(self):
        if not nice.nice_agent_restart(self.agent):
            raise RuntimeError("libnice does not restart")
        return self.describe()

    def times(self):
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = int((used.ru_utime + used.ru_stime) * 1e6)
        return {
            "met": self.met and self.met[0],
            "first": self.first and self.first[0],
            "sent": sent_between(self.met, self.first),
            "cpu": cpu,
            "memory": used.ru_maxrss,
        }


ORDERS = ["gather", "meet", "candidate", "connected", "exchange", "restart", "times"]
printing = threading.Lock()


def carry_out(agent, order):
    try:
        if order["name"] not in ORDERS:
            raise ValueError(f"{order['name']} is no order")
        result = getattr(agent, order["name"])(**order["params"])
        answered = {"id": order["id"], "result": result}
    except Exception as error:  # whatever it is, the test shows it
        answered = {"id": order["id"], "error": repr(error)}
    with printing:
        print(json.dumps(answered), flush=True)


agent = Agent()
for line in sys.stdin:
    threading.Thread(target=carry_out, args=(agent, json.loads(line)), daemon=True).start()
