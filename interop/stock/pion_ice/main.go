// pion's ICE agent, taking orders as lines of JSON like examples/ice_stdio.rs.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pion/ice/v2"
	"github.com/pion/logging"
)

const repetition = 20 * time.Millisecond

type turnServer struct {
	Address   string `json:"address"`
	Transport string `json:"transport"`
	Username  string `json:"username"`
	Password  string `json:"password"`
}

type description struct {
	Ufrag      string   `json:"ufrag"`
	Password   string   `json:"password"`
	Lite       bool     `json:"lite"`
	Candidates []string `json:"candidates"`
}

type params struct {
	description
	Controlling bool        `json:"controlling"`
	Relay       bool        `json:"relay"`
	TCP         bool        `json:"tcp"`
	Fast        bool        `json:"fast"`
	Stun        string      `json:"stun"`
	Turn        *turnServer `json:"turn"`
	Candidate   string      `json:"candidate"`
	Count       int         `json:"count"`
	Size        int         `json:"size"`
}

type order struct {
	ID     int    `json:"id"`
	Name   string `json:"name"`
	Params params `json:"params"`
}

type side struct {
	agent       *ice.Agent
	lite        bool
	controlling bool
	gathered    chan struct{}
	// Closed when the first pair works.
	connected chan struct{}
	conn      *ice.Conn
	failure   error
	number    int
	lock      sync.Mutex
	answers   map[string]chan struct{}
	met       *moment
	first     *moment
}

// moment is a time, and what this host had sent by then.
type moment struct {
	micros, packets, bytes int64
}

func now() *moment {
	m := &moment{micros: time.Now().UnixMicro()}
	table, _ := os.ReadFile("/proc/net/dev")
	for _, line := range strings.Split(string(table), "\n") {
		name, counts, found := strings.Cut(line, ":")
		if !found || strings.TrimSpace(name) == "lo" {
			continue
		}
		var skipped, bytes, packets int64
		fmt.Sscan(counts, &skipped, &skipped, &skipped, &skipped, &skipped, &skipped, &skipped, &skipped, &bytes, &packets)
		m.bytes += bytes
		m.packets += packets
	}
	return m
}

func main() {
	s := &side{gathered: make(chan struct{}, 1), connected: make(chan struct{}), answers: map[string]chan struct{}{}}
	var printing sync.Mutex
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			panic(err)
		}
		go func() {
			answer := map[string]any{"id": o.ID}
			if result, err := s.carryOut(o.Name, o.Params); err != nil {
				answer["error"] = err.Error()
			} else {
				answer["result"] = result
			}
			line, _ := json.Marshal(answer)
			printing.Lock()
			defer printing.Unlock()
			fmt.Println(string(line))
		}()
	}
}

func (s *side) carryOut(name string, p params) (any, error) {
	switch name {
	case "gather":
		return s.gather(p)
	case "meet":
		return nil, s.meet(p.description)
	case "candidate":
		return nil, s.addCandidate(p.Candidate)
	case "connected":
		return s.selected()
	case "exchange":
		return nil, s.exchange(p.Count, p.Size)
	case "restart":
		if err := s.agent.Restart("", ""); err != nil {
			return nil, err
		}
		return s.describe()
	case "times":
		return s.times()
	}
	return nil, fmt.Errorf("%s is no order", name)
}

func (s *side) gather(p params) (any, error) {
	config := &ice.AgentConfig{
		NetworkTypes:     []ice.NetworkType{ice.NetworkTypeUDP4},
		MulticastDNSMode: ice.MulticastDNSModeDisabled,
		Lite:             p.Lite,
		LoggerFactory:    &logging.DefaultLoggerFactory{Writer: os.Stderr, DefaultLogLevel: logging.LogLevelWarn},
	}
	if p.Lite {
		config.CandidateTypes = []ice.CandidateType{ice.CandidateTypeHost}
	}
	if p.Relay {
		config.CandidateTypes = []ice.CandidateType{ice.CandidateTypeRelay}
	}
	if p.Fast {
		none, interval := time.Duration(0), 50*time.Millisecond
		config.HostAcceptanceMinWait, config.SrflxAcceptanceMinWait = &none, &none
		config.PrflxAcceptanceMinWait, config.RelayAcceptanceMinWait = &none, &none
		config.CheckInterval = &interval
	}
	if p.TCP {
		listener, err := net.Listen("tcp4", ":0")
		if err != nil {
			return nil, err
		}
		config.NetworkTypes = append(config.NetworkTypes, ice.NetworkTypeTCP4)
		config.TCPMux = ice.NewTCPMuxDefault(ice.TCPMuxParams{Listener: listener, ReadBufferSize: 16})
	}
	if p.Stun != "" {
		url, err := ice.ParseURL("stun:" + p.Stun)
		if err != nil {
			return nil, err
		}
		config.Urls = append(config.Urls, url)
	}
	if p.Turn != nil {
		url, err := ice.ParseURL("turn:" + p.Turn.Address + "?transport=" + p.Turn.Transport)
		if err != nil {
			return nil, err
		}
		url.Username, url.Password = p.Turn.Username, p.Turn.Password
		config.Urls = append(config.Urls, url)
	}
	agent, err := ice.NewAgent(config)
	if err != nil {
		return nil, err
	}
	s.agent, s.lite, s.controlling = agent, p.Lite, p.Controlling
	if err := agent.OnCandidate(func(candidate ice.Candidate) {
		if candidate == nil {
			s.gathered <- struct{}{}
		}
	}); err != nil {
		return nil, err
	}
	return s.describe()
}

func (s *side) describe() (*description, error) {
	if err := s.agent.GatherCandidates(); err != nil {
		return nil, err
	}
	<-s.gathered
	ufrag, password, err := s.agent.GetLocalUserCredentials()
	if err != nil {
		return nil, err
	}
	candidates, err := s.agent.GetLocalCandidates()
	if err != nil {
		return nil, err
	}
	texts := []string{}
	for _, candidate := range candidates {
		texts = append(texts, "candidate:"+candidate.Marshal())
	}
	return &description{Ufrag: ufrag, Password: password, Lite: s.lite, Candidates: texts}, nil
}

func (s *side) meet(other description) error {
	if s.met != nil {
		if err := s.agent.SetRemoteCredentials(other.Ufrag, other.Password); err != nil {
			return err
		}
		return s.addCandidates(other.Candidates)
	}
	s.met = now()
	go func() {
		start := s.agent.Accept
		if s.controlling {
			start = s.agent.Dial
		}
		s.conn, s.failure = start(context.Background(), other.Ufrag, other.Password)
		close(s.connected)
		if s.failure == nil {
			s.receive()
		}
	}()
	return s.addCandidates(other.Candidates)
}

func (s *side) addCandidates(texts []string) error {
	for _, text := range texts {
		if err := s.addCandidate(text); err != nil {
			return err
		}
	}
	return nil
}

func (s *side) addCandidate(text string) error {
	candidate, err := ice.UnmarshalCandidate(strings.TrimPrefix(text, "candidate:"))
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return s.agent.AddRemoteCandidate(candidate)
}

func (s *side) receive() {
	buffer := make([]byte, 1<<16)
	for {
		n, err := s.conn.Read(buffer)
		if err != nil {
			return
		}
		message := buffer[:n]
		s.lock.Lock()
		if s.first == nil {
			s.first = now()
		}
		if answered, ok := s.answers[string(message[1:])]; ok && message[0] == 'a' {
			close(answered)
			delete(s.answers, string(message[1:]))
		}
		s.lock.Unlock()
		if message[0] == 'q' {
			message[0] = 'a'
			// The question is repeated if this does not get through.
			if _, err := s.conn.Write(message); err != nil {
				fmt.Fprintln(os.Stderr, "no answer:", err)
			}
		}
	}
}

func (s *side) selected() (any, error) {
	<-s.connected
	if s.failure != nil {
		return nil, s.failure
	}
	for {
		pair, err := s.agent.GetSelectedCandidatePair()
		if err != nil {
			return nil, err
		}
		if pair != nil {
			return map[string]string{
				"local":     pair.Local.Type().String(),
				"remote":    pair.Remote.Type().String(),
				"transport": pair.Local.NetworkType().NetworkShort(),
			}, nil
		}
		time.Sleep(repetition)
	}
}

func (s *side) exchange(count, size int) error {
	<-s.connected
	if s.failure != nil {
		return s.failure
	}
	for ; count > 0; count-- {
		s.number++
		message := bytes.NewBufferString(fmt.Sprintf("q%d ", s.number))
		for index := message.Len(); index < size; index++ {
			message.WriteByte(byte(index % 251))
		}
		if err := s.ask(message.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func (s *side) ask(question []byte) error {
	answered := make(chan struct{})
	s.lock.Lock()
	s.answers[string(question[1:])] = answered
	s.lock.Unlock()
	for {
		// There is no pair for a moment after a restart.
		if _, err := s.conn.Write(question); err != nil && !errors.Is(err, ice.ErrNoCandidatePairs) {
			return err
		}
		select {
		case <-answered:
			return nil
		case <-time.After(repetition):
		}
	}
}

func (s *side) times() (any, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return nil, err
	}
	cpu := used.Utime.Nano()/1000 + used.Stime.Nano()/1000
	times := map[string]any{"cpu": cpu, "memory": used.Maxrss}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.met != nil && s.first != nil {
		times["met"], times["first"] = s.met.micros, s.first.micros
		times["sent"] = map[string]int64{"packets": s.first.packets - s.met.packets, "bytes": s.first.bytes - s.met.bytes}
	}
	return times, nil
}
