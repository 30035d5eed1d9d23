"""What scripts/bench/gather-root measures against: the leaves, and the peers of our root.

The leaves are one nginx process with many addresses. Paths: / a fixed body, /slow1 the same but one
call of a hundred takes 100 ms, /calls how often /slow1 was asked, /kb1 and /kb64 JSON of that size.
"""
import pathlib
import tempfile

from support import servers

BODY = '{"shard":"s","took":1,"hits":[%s],"total":3,"more":100}' % ",".join(
    '{"id":"document-%d","score":0.%d,"title":"t"}' % (i, 975 - i * 311) for i in range(3))

NGINX = """{modules}
daemon off; master_process off; pid nginx.pid; error_log stderr error;
worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
http {{
  access_log off; default_type application/json; tcp_nodelay on;
  keepalive_requests 100000000; keepalive_timeout 1h;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp;
  scgi_temp_path tmp; proxy_http_version 1.1; proxy_set_header Connection "";
  proxy_pass_request_headers off;
  {http}
}}
"""

LEAF = """
  init_by_lua_block {{
    local hits = {{}}
    for i = 1, 255 do  -- with the comma after it an element has 256 bytes
      local score = i * 3701 % 999983
      local hit = string.format('{{"score":0.%06d,"id":"document-%d","text":"', score, i)
      hits[i] = hit .. string.rep("x", 253 - #hit) .. '"}}'
    end
    leaf = {{calls = 0, pages = {{
      slow = '{body}',
      kb1 = '{{"pad":"' .. string.rep("x", 1014) .. '"}}',
      kb64 = '[' .. table.concat(hits, ",") .. ']' .. string.rep(" ", 254)}}}}
    function leaf.answer(page)
      ngx.header["Content-Length"] = #leaf.pages[page]
      ngx.print(leaf.pages[page])
    end
  }}
  server {{
    {listen}
    location = / {{ return 200 '{body}'; }}
    location = /slow1 {{ content_by_lua_block {{
      leaf.calls = leaf.calls + 1
      if math.random(100) == 1 then ngx.sleep(0.1) end
      leaf.answer("slow") }} }}
    location = /calls {{ content_by_lua_block {{ ngx.print(leaf.calls) }} }}
    location = /kb1 {{ content_by_lua_block {{ leaf.answer("kb1") }} }}
    location = /kb64 {{ content_by_lua_block {{ leaf.answer("kb64") }} }}
  }}
"""

LUA_ROOT = """
  {upstreams}
  init_by_lua_block {{ calls = {{}} for i = 1, {width} do calls[i] = {{"/leaf/" .. i}} end }}
  server {{
    listen 127.0.0.1:{port};
    {locations}
    location / {{ content_by_lua_block {{
      local answers = {{ngx.location.capture_multi(calls)}}
      local bodies = {{}}
      for i = 1, #answers do
        if answers[i].status ~= 200 then return ngx.exit(502) end
        bodies[i] = answers[i].body
      end
      local body = "[" .. table.concat(bodies, ",") .. "]"
      ngx.header["Content-Length"] = #body
      ngx.print(body) }} }}
  }}
"""


class Nginx(servers.Server):
    """One nginx process with lua; `http` is what its http block holds."""

    def __init__(self, port, http_text, files=16000):
        self.directory = tempfile.TemporaryDirectory(prefix="consort-bench-")
        modules = "".join(f"load_module /usr/lib/nginx/modules/{name}_module.so;\n"
                          for name in ("ndk_http", "ngx_http_lua"))
        conf = pathlib.Path(self.directory.name, "nginx.conf")
        conf.write_text(NGINX.format(modules=modules, http=http_text, files=files))
        super().__init__(["nginx", "-p", self.directory.name, "-c", conf, "-e", "stderr"], port)

    def stop(self, *arguments, **options):
        code = super().stop(*arguments, **options)
        self.directory.cleanup()
        return code


class Leaves(Nginx):
    """`count` leaves in one process, each with an address of its own and a unix socket.

    They differ by loopback address, not by port: a thousand free ports are hard to come by.
    """

    def __init__(self, count, net=9):
        port = servers.free_port()
        self.sockets = tempfile.TemporaryDirectory(prefix="consort-bench-")
        self.addresses = [f"127.{net}.{i // 250}.{i % 250 + 1}:{port}" for i in range(count)]
        self.paths = [f"{self.sockets.name}/{i}.sock" for i in range(count)]
        listen = "".join(f"listen {a};" for a in [f"127.0.0.1:{port}", *self.addresses])
        listen += "".join(f"listen unix:{p};" for p in self.paths)
        super().__init__(port, LEAF.format(body=BODY, listen=listen))

    def urls(self, count, skip=0):
        return [f"http://{a}" for a in self.addresses[skip:skip + count]]


def lua_root(leaves, width):
    port = servers.free_port()
    upstreams = "".join(
        f"upstream u{i} {{ server {a}; keepalive 256; keepalive_requests 100000000; }}\n"
        for i, a in enumerate(leaves.addresses[:width], 1))
    locations = "".join(f"location = /leaf/{i} {{ internal; proxy_pass http://u{i}/; }}\n"
                        for i in range(1, width + 1))
    return Nginx(port, LUA_ROOT.format(upstreams=upstreams, locations=locations, width=width,
                                       port=port))


def node_root(leaves, width):
    port = servers.free_port()
    return servers.Server(["node", pathlib.Path(__file__).with_name("gather_peer.js"), port,
                           *leaves.addresses[:width]], port)
