"""Leaves that speak TLS, with certificates of support.certificates."""
import asyncio
import ssl

from support import leaves


class TlsLeaf(leaves.Leaf):
    """identity: what Authority.issue gave. clients: the authority of the only ones it lets in."""

    def __init__(self, identity, behave=None, clients=None, name="localhost"):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*identity)
        if clients is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(clients.file)
        super().__init__(behave)
        self.url = f"https://{name}:{self.port}"

    async def listen(self):
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: leaves.Connection(self), "127.0.0.1", self.port,
                                        ssl=self.context)
