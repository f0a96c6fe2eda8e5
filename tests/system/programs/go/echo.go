// A server and its clients in Go, which makes its system calls itself: SCTP by the package that 5G cores use, beside TCP
// by Go's own. Many goroutines, large and small messages, streams.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/ishidawataru/sctp"
)

const clients, messages = 4, 50

func fail(where string, err error) {
	if err != nil {
		fmt.Println(where+":", err)
		os.Exit(1)
	}
}

func serve(connection *sctp.SCTPConn) {
	buffer := make([]byte, 65536)
	fail("events", connection.SubscribeEvents(sctp.SCTP_EVENT_DATA_IO))
	for {
		length, info, err := connection.SCTPRead(buffer)
		if err != nil || length == 0 {
			connection.Close()
			return
		}
		back := &sctp.SndRcvInfo{Stream: info.Stream, PPID: info.PPID}
		_, err = connection.SCTPWrite(buffer[:length], back)
		fail("echo", err)
	}
}

func client(number int, address *sctp.SCTPAddr, done *sync.WaitGroup) {
	defer done.Done()
	connection, err := sctp.DialSCTPExt("sctp", nil, address, sctp.InitMsg{NumOstreams: 8})
	fail("dial", err)
	fail("events", connection.SubscribeEvents(sctp.SCTP_EVENT_DATA_IO))
	buffer := make([]byte, 65536)
	for i := 0; i < messages; i++ {
		message := bytes.Repeat([]byte{byte(number), byte(i)}, 1+i*40)
		_, err = connection.SCTPWrite(message, &sctp.SndRcvInfo{Stream: uint16(i % 8), PPID: uint32(i)})
		fail("write", err)
		length, info, err := connection.SCTPRead(buffer)
		fail("read", err)
		if !bytes.Equal(buffer[:length], message) || info.Stream != uint16(i%8) || info.PPID != uint32(i) {
			fail("message", fmt.Errorf("%d of %d came back as %d bytes on stream %d", i, number, length, info.Stream))
		}
	}
	fail("close", connection.Close())
}

// Go's own sockets, under the same eyes.
func tcp() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fail("tcp", err)
	go func() {
		connection, err := listener.Accept()
		fail("tcp", err)
		io.Copy(connection, connection)
		connection.Close()
	}()
	connection, err := net.Dial("tcp", listener.Addr().String())
	fail("tcp", err)
	go func() {
		connection.Write(make([]byte, 1000000))
		connection.(*net.TCPConn).CloseWrite()
	}()
	back, err := io.ReadAll(connection)
	fail("tcp", err)
	fmt.Println("tcp", len(back))
}

func main() {
	address, err := sctp.ResolveSCTPAddr("sctp", "127.0.0.1:5001")
	fail("resolve", err)
	listener, err := sctp.ListenSCTP("sctp", address)
	fail("listen", err)
	go func() {
		for {
			connection, err := listener.AcceptSCTP()
			fail("accept", err)
			go serve(connection)
		}
	}()
	var done sync.WaitGroup
	for i := 0; i < clients; i++ {
		done.Add(1)
		go client(i, address, &done)
	}
	done.Wait()
	tcp()
	fmt.Println("done")
}
