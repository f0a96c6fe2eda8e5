"""SCTP by Python's own modules: both styles, timeouts, files on sockets, asyncio. Says "done"."""
import asyncio
import os
import socket

HOST = ("127.0.0.1", 0)


def new(kind=socket.SOCK_STREAM):
    return socket.socket(socket.AF_INET, kind, socket.IPPROTO_SCTP)


def listener(kind=socket.SOCK_STREAM):
    made = new(kind)
    made.bind(HOST)
    made.listen()
    return made


def one_to_one():
    server = listener()
    client = new()
    client.settimeout(5)
    client.connect(server.getsockname())
    accepted, address = server.accept()
    assert address == client.getsockname() and accepted.proto == socket.IPPROTO_SCTP
    copy = socket.socket(fileno=os.dup(accepted.fileno()))
    assert (copy.family, copy.type, copy.proto) == (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    client.sendall(b"x" * 100_000)
    got = 0
    while got < 100_000:
        got += len(copy.recv(65536))
    with accepted.makefile("rwb") as file, client.makefile("rb") as other:
        file.write(b"a line\n")
        file.flush()
        assert other.readline() == b"a line\n"
    client.settimeout(0.1)
    try:
        client.recv(1)
        raise AssertionError("there was nothing to receive")
    except TimeoutError:
        pass
    client.settimeout(5)
    accepted.close()
    copy.close()
    assert client.recv(1) == b""


def one_to_many():
    server, client = listener(socket.SOCK_SEQPACKET), new(socket.SOCK_SEQPACKET)
    client.sendto(b"to many", server.getsockname())
    message, _, flags, address = server.recvmsg(100)
    assert message == b"to many" and flags & socket.MSG_EOR and address[1] == client.getsockname()[1]


async def by_asyncio():
    async def serve(reader, writer):
        writer.write((await reader.read(100)).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, sock=listener())
    client = new()
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, server.sockets[0].getsockname())
    reader, writer = await asyncio.open_connection(sock=client)
    writer.write(b"asyncio")
    assert await reader.read(100) == b"ASYNCIO"
    writer.close()
    await writer.wait_closed()
    server.close()


one_to_one()
one_to_many()
asyncio.run(by_asyncio())
print("done")
