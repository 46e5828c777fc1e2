// pion as a peer that takes orders as lines of JSON, like examples/peer_stdio.rs.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/pion/webrtc/v3"
)

type order struct {
	ID     int    `json:"id"`
	Name   string `json:"name"`
	Params struct {
		SDP   string `json:"sdp"`
		Sizes []int  `json:"sizes"`
	} `json:"params"`
}

type peer struct {
	connection *webrtc.PeerConnection
	ours       *webrtc.DataChannel
	opened     chan struct{}
	ended      chan struct{}
	closed     chan struct{}
	messages   chan webrtc.DataChannelMessage
}

func main() {
	configuration := webrtc.Configuration{}
	if servers := os.Getenv("ICE_SERVERS"); servers != "" {
		if err := json.Unmarshal([]byte(servers), &configuration.ICEServers); err != nil {
			panic(err)
		}
	}
	connection, err := webrtc.NewPeerConnection(configuration)
	if err != nil {
		panic(err)
	}
	p := &peer{
		connection: connection,
		opened:     make(chan struct{}),
		ended:      make(chan struct{}),
		closed:     make(chan struct{}),
		messages:   make(chan webrtc.DataChannelMessage, 16),
	}
	connection.OnDataChannel(func(channel *webrtc.DataChannel) {
		channel.OnMessage(func(message webrtc.DataChannelMessage) {
			if message.IsString {
				_ = channel.SendText(string(message.Data))
			} else {
				_ = channel.Send(message.Data)
			}
		})
		channel.OnClose(func() { close(p.closed) })
	})
	var printing sync.Mutex
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			panic(err)
		}
		go func() {
			answer := map[string]any{"id": o.ID, "result": nil}
			if result, err := p.carryOut(o); err != nil {
				answer["error"] = err.Error()
			} else if result != "" {
				answer["result"] = result
			}
			line, _ := json.Marshal(answer)
			printing.Lock()
			defer printing.Unlock()
			fmt.Println(string(line))
		}()
	}
}

func (p *peer) carryOut(o order) (string, error) {
	switch o.Name {
	case "offer":
		if err := p.open(); err != nil {
			return "", err
		}
		offer, err := p.connection.CreateOffer(nil)
		if err != nil {
			return "", err
		}
		return p.settle(offer)
	case "answer":
		offer := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: o.Params.SDP}
		if err := p.connection.SetRemoteDescription(offer); err != nil {
			return "", err
		}
		if err := p.open(); err != nil {
			return "", err
		}
		answer, err := p.connection.CreateAnswer(nil)
		if err != nil {
			return "", err
		}
		return p.settle(answer)
	case "accept":
		answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: o.Params.SDP}
		return "", p.connection.SetRemoteDescription(answer)
	case "exchange":
		return "", p.exchange(o.Params.Sizes)
	case "close":
		if err := p.ours.Close(); err != nil {
			return "", err
		}
		<-p.ended
		return "", nil
	case "closed":
		<-p.closed
		return "", nil
	}
	return "", fmt.Errorf("%s is no order", o.Name)
}

func (p *peer) open() (err error) {
	p.ours, err = p.connection.CreateDataChannel("ours", nil)
	if err != nil {
		return err
	}
	p.ours.OnOpen(func() { close(p.opened) })
	p.ours.OnClose(func() { close(p.ended) })
	p.ours.OnMessage(func(message webrtc.DataChannelMessage) { p.messages <- message })
	return nil
}

func (p *peer) settle(description webrtc.SessionDescription) (string, error) {
	gathered := webrtc.GatheringCompletePromise(p.connection)
	if err := p.connection.SetLocalDescription(description); err != nil {
		return "", err
	}
	<-gathered
	return p.connection.LocalDescription().SDP, nil
}

func (p *peer) exchange(sizes []int) error {
	<-p.opened
	for _, size := range sizes {
		text := strings.Repeat("ä", size/2)
		if err := p.ours.SendText(text); err != nil {
			return err
		}
		if echo := <-p.messages; !echo.IsString || string(echo.Data) != text {
			return fmt.Errorf("a text of %d bytes came back as another", size)
		}
		sent := make([]byte, size)
		for index := range sent {
			sent[index] = byte(index % 251)
		}
		if err := p.ours.Send(sent); err != nil {
			return err
		}
		if echo := <-p.messages; echo.IsString || !bytes.Equal(echo.Data, sent) {
			return fmt.Errorf("%d bytes came back as others", size)
		}
	}
	return nil
}
