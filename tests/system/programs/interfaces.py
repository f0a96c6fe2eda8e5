"""Sockets that are bound to interfaces, and to addresses that the host does not have. A server says to each client by which
socket it came; a client prints what it heard."""
import socket
import sys

IP_FREEBIND = 15


def new(device, free):
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    made.settimeout(20)
    if device != "any":
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        told = made.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        assert told.rstrip(b"\0").decode() == device, told
    if free:
        made.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    return made


def serve(address, port, count, *devices):
    servers = []
    for device in devices:
        server = new(device, free=address != "0.0.0.0")
        server.bind((address, int(port)))
        server.listen()
        servers.append((device, server))
    print("ready", flush=True)
    for device, server in servers:
        for _ in range(int(count)):
            accepted, _ = server.accept()
            accepted.sendall(f"{device} of {accepted.getsockname()[0]}".encode())
            accepted.recv(1)
            accepted.close()


def call(address, port, device):
    client = new(device, free=False)
    client.connect((address, int(port)))
    print(client.recv(100).decode())
    client.close()


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
