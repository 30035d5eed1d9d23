#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "roles/logsaver/records/multiline.hpp"

namespace consort::logsaver {
namespace {

/// One letter per line: (a)lone, (b)egins, (c)ontinues, (e)nds.
std::string steps_of(Multiline& multiline, std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    out += "abce"[static_cast<std::size_t>(multiline.step(text.substr(0, end)))];
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return out;
}

std::string steps(std::vector<MultilineKind> kinds, std::string_view text) {
  const MultilineRules rules{.kinds = std::move(kinds)};
  Multiline multiline(rules);
  return steps_of(multiline, text);
}

constexpr std::string_view kJava =
    "2024-05-01 12:00:00 INFO started\n"
    "Exception in thread \"main\" javax.servlet.ServletException: Something bad happened\n"
    "\n"
    "    at com.example.myproject.OpenSessionInViewFilter.doFilter(OpenSession.java:60)\n"
    "    at org.mortbay.jetty.servlet.ServletHandler.handle(ServletHandler.java:388)\n"
    "Caused by: com.example.myproject.MyProjectServletException\n"
    "    at com.example.myproject.MyServlet.doPost(MyServlet.java:169)\n"
    "\t... 27 common frames omitted\n"
    "\tSuppressed: java.io.IOException: close\n"
    "\t\tat com.example.Res.close(Res.java:1)\n"
    "\t\t... 1 more\n"
    "2024-05-01 12:00:01 INFO next\n";

constexpr std::string_view kJavaNested =
    "javax.faces.FacesException: #{x}: javax.persistence.PersistenceException\r\n"
    "nested exception is: \r\n"
    "java.rmi.RemoteException: y\r\n"
    "\tat a.b.C.d(C.java)\r\n"
    "done\r\n";

constexpr std::string_view kPython =
    "ERROR:root:failed\n"
    "Traceback (most recent call last):\n"
    "  File \"/base/data/home/webapp.py\", line 1535, in __call__\n"
    "    rv = self.handle_exception(request, response, e)\n"
    "         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
    "  File \"<string>\", line 1, in f\n"
    "  File \"/nosource.py\", line 3, in g\n"
    "  [Previous line repeated 996 more times]\n"
    "my.package.errors.<locals>.Error: ('spam', 'eggs')\n"
    "next\n"
    "Traceback (most recent call last):\n"
    "  File \"a.py\", line 1, in <module>\n"
    "    input()\n"
    "KeyboardInterrupt\n"
    "next\n";

constexpr std::string_view kPythonGroup =
    "  + Exception Group Traceback (most recent call last):\n"
    "  |   File \"a.py\", line 1, in <module>\n"
    "  |     raise ExceptionGroup('x', [ValueError(1)])\n"
    "  | ExceptionGroup: x (1 sub-exception)\n"
    "  +-+---------------- 1 ----------------\n"
    "    | ValueError: 1\n"
    "    +------------------------------------\n"
    "next\n";

constexpr std::string_view kGo =
    "listening\n"
    "panic: my panic [recovered]\n"
    "\tpanic: again\n"
    "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48d1a5]\n"
    "\n"
    "goroutine 4 gp=0xc000007c0 m=0 mp=0x5a6e40 [running]:\n"
    "panic({0x49c820?, 0x4c8ab8?})\n"
    "\t/usr/local/go/src/runtime/panic.go:785 +0x132\n"
    "main.(*server).serve(0xc0, 0x1)\n"
    "\t/app/main.go:12 +0x45\n"
    "...additional frames elided...\n"
    "created by net/http.(*Server).Serve in goroutine 1\n"
    "\t/usr/local/go/src/net/http/server.go:3086 +0x5cb\n"
    "\n"
    "goroutine 1 [chan receive, 3 minutes]:\n"
    "main.main()\n"
    "\t/app/main.go:7 +0x5c\n"
    "exit status 2\n";

constexpr std::string_view kGoHttp =
    "2019/01/15 07:48:05 http: panic serving [::1]:54143: test panic\n"
    "goroutine 24 [running]:\n"
    "net/http.(*conn).serve.func1(0xc00007eaa0)\n"
    "\t/usr/local/go/src/net/http/server.go:1746 +0xd0\n"
    "2019/01/15 07:48:06 ok\n";

constexpr std::string_view kRuby =
    "Puma starting\n"
    "app.rb:2:in `foo': boom (RuntimeError)\n"
    "\tfrom app.rb:5:in `bar'\n"
    "\t ... 10 levels...\n"
    "\tfrom app.rb:8:in 'Object#main'\n"
    "next\n"
    "Traceback (most recent call last):\n"
    "\t2: from a.rb:9:in `<main>'\n"
    "\t1: from a.rb:6:in `bar'\n"
    "a.rb:2:in `foo': boom (RuntimeError)\n"
    "next\n"
    "ActionController::RoutingError (No route matches [GET] \"/settings\"):\n"
    "  \n"
    "app/controllers/a.rb:3:in `index'\n"
    "  actionpack (5.1.4) lib/action_dispatch/debug_exceptions.rb:63:in `call'\n"
    "next\n";

constexpr std::string_view kNode =
    "Server on 3000\n"
    "/app/index.js:3\n"
    "    throw new TypeError('x');\n"
    "    ^^^^^\n"
    "\n"
    "TypeError [ERR_INVALID_ARG_TYPE]: The \"path\" argument must be a string\n"
    "    at Object.<anonymous> (/app/index.js:3:9)\n"
    "    ... 2 lines matching cause stack trace ...\n"
    "    at node:internal/main/run_main_module:28:49 {\n"
    "  code: 'ENOENT',\n"
    "  [cause]: Error: inner\n"
    "      at a (/b.js:1:1) {\n"
    "    errno: -2\n"
    "  }\n"
    "}\n"
    "\n"
    "Node.js v20.1.0\n"
    "Error: plain\n"
    "    at f (/a.js:1:1)\n"
    "next\n";

constexpr std::string_view kDotnet =
    "Now listening\n"
    "Unhandled exception. System.InvalidOperationException: outer\n"
    " ---> System.Net.Sockets.SocketException (111): Connection refused\n"
    "   at App.Program.Inner() in /src/Program.cs:line 12\n"
    "   --- End of inner exception stack trace ---\n"
    "   at App.Program.Main(String[] args) in /src/Program.cs:line 5\n"
    "--- End of stack trace from previous location ---\n"
    "   at System.Runtime.CompilerServices.TaskAwaiter.GetResult()\n"
    "next\n"
    "System.Net.Sockets.SocketException (111): Connection refused\n"
    "next\n";

TEST_CASE("the names of the option") {
  CHECK(multiline_kind("java") == MultilineKind::java);
  CHECK(multiline_kind("nodejs") == MultilineKind::nodejs);
  CHECK(multiline_kind("indent") == MultilineKind::indent);
  CHECK_FALSE(multiline_kind("Java"));
  CHECK_FALSE(multiline_kind(""));
}

TEST_CASE("Java: causes, suppressed ones and omitted frames belong to the trace") {
  CHECK(steps({MultilineKind::java}, kJava) == "abccccccccca");
  CHECK(steps({MultilineKind::java}, kJavaNested) == "bccca");
  CHECK(steps({MultilineKind::java}, "a Error: b\na Error: c\n\tat x\n\tx\n") == "bbca");
  CHECK(steps({MultilineKind::java}, "Error: x\na Errors: y\na.Exception\na.Throwable: z") ==
        "aabb");
}

TEST_CASE("Python: a trace ends with its error") {
  CHECK(steps({MultilineKind::python}, kPython) == "abcccccceabccea");
  CHECK(steps({MultilineKind::python}, kPythonGroup) == "bcccccca");
  CHECK(steps({MultilineKind::python}, "Traceback (most recent call last):\nno error\n") == "ba");
  CHECK(steps({MultilineKind::python},
              "Traceback (most recent call last):\n  File \"a\"\nraise X()\n{\"a\":1}\n") ==
        "bcca");
}

TEST_CASE("Go: all goroutines of a panic") {
  CHECK(steps({MultilineKind::go}, kGo) == "abccccccccccccccca");
  CHECK(steps({MultilineKind::go}, kGoHttp) == "bccca");
  CHECK(steps({MultilineKind::go},
              "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [select]:\nx\n") ==
        "bcca");
  CHECK(steps({MultilineKind::go}, "nopanic: x\npanicking: y\npanic:z\nmy panic: q\n") == "aaab");
}

TEST_CASE("Ruby: calls below or above the error, and Rails") {
  CHECK(steps({MultilineKind::ruby}, kRuby) == "abcccabcceabccca");
}

TEST_CASE("Node.js: the code above, the frames, and members between braces") {
  CHECK(steps({MultilineKind::nodejs}, kNode) ==
        "abccccccccccccea"
        "abca");
  CHECK(steps({MultilineKind::nodejs}, "/app/index.js:3\nthrow 1\n^\n\n[nothing]\n") == "bccca");
  CHECK(steps({MultilineKind::nodejs}, "/app/index.js:3x\n/a b:3\n/app\n:3\n") == "aaaa");
}

TEST_CASE(".NET: inner exceptions") {
  CHECK(steps({MultilineKind::dotnet}, kDotnet) == "abccccccaba");
}

TEST_CASE("indent: what begins with a blank belongs to the line before") {
  CHECK(steps({MultilineKind::indent}, "a\n b\n\tc\nd\n\ne\n") == "bccbbb");
  CHECK(steps({MultilineKind::indent}, " a\n b\n") == "bc");
}

TEST_CASE("a pattern says which lines begin a record") {
  const MultilineRules rules{
      .kinds = {}, .is_start = [](std::string_view line) { return line.starts_with("20"); }};
  Multiline multiline(rules);
  CHECK(steps_of(multiline, "x\n2024\ny\n\n2025\n") == "bbccb");
  multiline.reset();
  CHECK_FALSE(multiline.is_open());
  CHECK(steps_of(multiline, "y\n") == "b");
}

TEST_CASE("several kinds together find the traces of each") {
  const std::vector<MultilineKind> all = {MultilineKind::java, MultilineKind::python,
                                          MultilineKind::go};
  CHECK(steps(all, kJava) == "abccccccccca");
  CHECK(steps(all, kPython) == "abcccccceabccea");
  CHECK(steps(all, kGo) == "abccccccccccccccca");
  // Begun as both; the blank line is of both, the rest of one.
  CHECK(steps(all, "panic: a.Error: x\n\ngoroutine 1 [running]:\nmain.main()\n\t/a.go:1\nx\n") ==
        "bcccca");
  const std::vector<MultilineKind> two = {MultilineKind::python, MultilineKind::ruby};
  CHECK(steps(two, kRuby) == "abcccabcceabccca");
}

TEST_CASE("a line is the same with a carriage return at its end") {
  CHECK(steps({MultilineKind::java}, "a.Exception\r\n\tat b\r\nc\r\n") == "bca");
  CHECK(steps({MultilineKind::go}, "panic: x\r\n\r\ngoroutine 1 [running]:\r\nx\r\n") == "bcca");
}

}  // namespace
}  // namespace consort::logsaver
