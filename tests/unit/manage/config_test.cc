#include "manage/config.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

namespace consort {
namespace {

enum class Shape { ring, slots };

struct Pool {
  std::string name;
  Shape shape = Shape::ring;
  Millis timeout{1000};
  std::vector<std::string> servers;
  std::string token;
};

}  // namespace

template <>
struct Choices<Shape> {
  static constexpr std::string_view names[] = {"ring", "slots"};
};

namespace {

class FakeConfig final : public RoleConfig {
 public:
  std::vector<BoundTable> tables() override;
  void adapt_file(Node& root, Problems& problems) override;
  void validate(Problems& problems) override;

  std::string listen = "127.0.0.1:1";
  Millis connect_timeout{500};
  bool preconnect = false;
  std::uint32_t backlog = 512;
  std::vector<std::string> servers{"default:1"};
  std::string password;
  std::vector<Pool> pools;
};

constexpr Option kPoolTable[] = {
    option<&Pool::shape>("shape", "how keys are spread"),
    option<&Pool::timeout>("timeout", "of a request", kBareMillis | kReload),
    option<&Pool::servers>("server", "HOST:PORT"),
    option<&Pool::token>("token", "for the servers", kSecret),
};

constexpr Option kTable[] = {
    option<&FakeConfig::listen>("listen", "where clients connect", kRequired),
    option<&FakeConfig::connect_timeout>("connect-timeout", "of connecting", kReload),
    option<&FakeConfig::preconnect>("preconnect", "connect first"),
    option<&FakeConfig::backlog>("backlog", "of the listener"),
    option<&FakeConfig::servers>("server", "HOST:PORT", kReload),
    option<&FakeConfig::password>("password", "for the servers", kSecret | kReload),
    option_map<&FakeConfig::pools>("pools", kPoolTable, "pools by name"),
};

std::vector<BoundTable> FakeConfig::tables() {
  return {{kTable, this}};
}

void FakeConfig::adapt_file(Node& root, Problems&) {
  for (auto& [key, value] : root.members) {
    if (key.scalar == "old_listen") key.scalar = "listen";
  }
}

void FakeConfig::validate(Problems& problems) {
  if (backlog == 0) problems.error("backlog must be more than 0");
  if (backlog > 1000) problems.warn("a large backlog hides overload");
  // Validation may rewrite: what it makes must not appear as if it had been configured.
  if (pools.empty()) pools.push_back({});
}

constexpr RoleSpec kFake{
    .group = "ambassador",
    .name = "fake-proxy",
    .summary = "a role for tests",
    .examples = "",
    .admin_port = 9899,
    .make_config = [] { return std::unique_ptr<RoleConfig>(std::make_unique<FakeConfig>()); },
    .make = nullptr};

/// All sources in memory.
struct World {
  std::vector<Flag> flags;
  std::map<std::string, std::string> environment;
  std::map<std::string, std::string> files;

  ConfigSources sources() const {
    ConfigSources made;
    made.flags = flags;
    made.environment = [this](const std::string& name) -> std::optional<std::string> {
      auto at = environment.find(name);
      if (at == environment.end()) return std::nullopt;
      return at->second;
    };
    made.read_file = [this](const std::string& path) -> Result<std::string> {
      auto at = files.find(path);
      if (at == files.end()) return fail(Errc::not_found, path, ENOENT);
      return at->second;
    };
    return made;
  }
  /// One file, named on the command line.
  static World of_file(std::string text) {
    World world;
    world.flags = {{"config", "a.yaml"}};
    world.files["a.yaml"] = std::move(text);
    return world;
  }
};

struct Loaded {
  LoadedConfig config;
  Problems problems;
  const FakeConfig& role() const { return static_cast<const FakeConfig&>(*config.role); }
  const Setting& setting(std::string_view key) const {
    auto at = std::find_if(config.settings.begin(), config.settings.end(),
                           [&](const Setting& each) { return each.key == key; });
    REQUIRE_MESSAGE(at != config.settings.end(), key);
    return *at;
  }
  std::string errors() const {
    std::string all;
    for (const std::string& each : problems.errors()) all += each + "\n";
    return all;
  }
};

Loaded load(const World& world) {
  Loaded loaded;
  loaded.config = load_config(kFake, world.sources(), loaded.problems);
  return loaded;
}

}  // namespace

TEST_CASE("a flag beats the environment, which beats the file, which beats the default") {
  World world =
      World::of_file("listen: file:1\nconnect_timeout: 1s\nbacklog: 7\nname: from-file\n");
  world.environment["CONSORT_FAKE_PROXY_LISTEN"] = "env:1";
  world.environment["CONSORT_FAKE_PROXY_CONNECT_TIMEOUT"] = "2s";
  world.flags.push_back({"listen", "flag:1"});
  const Loaded loaded = load(world);
  REQUIRE_MESSAGE(loaded.problems.ok(), loaded.errors());
  CHECK(loaded.role().listen == "flag:1");
  CHECK(loaded.setting("listen").source == "flag --listen");
  CHECK(loaded.role().connect_timeout == Millis{2000});
  CHECK(loaded.setting("connect_timeout").source == "env CONSORT_FAKE_PROXY_CONNECT_TIMEOUT");
  CHECK(loaded.role().backlog == 7);
  CHECK(loaded.setting("backlog").source == "file a.yaml:3:1");
  CHECK(loaded.role().preconnect == false);
  CHECK(loaded.setting("preconnect").source == "default");
  CHECK(loaded.config.manage.name == "from-file");
}

TEST_CASE("a list takes all its values from the strongest source that has it") {
  World world = World::of_file("listen: x:1\nserver: [a:1, b:1]\n");
  SUBCASE("the file replaces the default") {
    CHECK(load(world).role().servers == std::vector<std::string>{"a:1", "b:1"});
  }
  SUBCASE("a variable replaces the file, split at commas") {
    world.environment["CONSORT_FAKE_PROXY_SERVER"] = "c:1, d:1,";
    CHECK(load(world).role().servers == std::vector<std::string>{"c:1", "d:1"});
  }
  SUBCASE("flags replace all, and are repeated") {
    world.environment["CONSORT_FAKE_PROXY_SERVER"] = "c:1";
    world.flags.push_back({"server", "e:1"});
    world.flags.push_back({"server", "f:1"});
    CHECK(load(world).role().servers == std::vector<std::string>{"e:1", "f:1"});
  }
  SUBCASE("a list of one needs no brackets") {
    world.files["a.yaml"] = "listen: x:1\nserver: g:1\n";
    CHECK(load(world).role().servers == std::vector<std::string>{"g:1"});
  }
  SUBCASE("an empty list empties the default") {
    world.files["a.yaml"] = "listen: x:1\nserver: []\n";
    CHECK(load(world).role().servers.empty());
  }
}

TEST_CASE("later files override earlier ones, key by key and inside an entry") {
  World world;
  world.flags = {{"config", "a"}, {"config", "b"}};
  world.files["a"] = "listen: x:1\nbacklog: 1\npools: {p: {shape: slots, server: [s:1, s:2]}}\n";
  world.files["b"] = "backlog: 2\npools: {p: {server: s:3}, q: {}}\n";
  const Loaded loaded = load(world);
  REQUIRE_MESSAGE(loaded.problems.ok(), loaded.errors());
  CHECK(loaded.role().listen == "x:1");
  CHECK(loaded.role().backlog == 2);
  REQUIRE(loaded.role().pools.size() == 2);
  CHECK(loaded.role().pools[0].shape == Shape::slots);
  CHECK(loaded.role().pools[0].servers == std::vector<std::string>{"s:3"});
  CHECK(loaded.setting("pools.p.shape").source == "file a:3:13");
  CHECK(loaded.setting("pools.p.server").source == "file b:2:13");
}

TEST_CASE("an empty variable is no variable") {
  World world;
  world.flags = {{"listen", "x:1"}};
  world.environment["CONSORT_FAKE_PROXY_BACKLOG"] = "";
  const Loaded loaded = load(world);
  CHECK(loaded.problems.ok());
  CHECK(loaded.role().backlog == 512);
}

TEST_CASE("files may be named by the environment, and a flag replaces them") {
  World world;
  world.environment["CONSORT_FAKE_PROXY_CONFIG"] = "a, b";
  world.files["a"] = "listen: a:1\n";
  world.files["b"] = "backlog: 3\n";
  world.files["c"] = "listen: c:1\n";
  CHECK(load(world).role().listen == "a:1");
  CHECK(load(world).role().backlog == 3);
  world.flags = {{"config", "c"}};
  CHECK(load(world).role().listen == "c:1");
  CHECK(load(world).role().backlog == 512);
}

TEST_CASE("everything wrong with a file is reported at once, with its place") {
  const Loaded loaded =
      load(World::of_file("listen: [a:1, b:1]\n"
                          "conect_timeout: 1s\n"
                          "connect-timeout: 400\n"
                          "backlog: {deep: 1}\n"
                          "server: [{a: b}]\n"
                          "preconnect: perhaps\n"
                          "check_config: true\n"
                          "pools: {p: {shpe: ring}, q: 7}\n"));
  const std::vector<std::string>& errors = loaded.problems.errors();
  REQUIRE_MESSAGE(errors.size() == 9, loaded.errors());
  CHECK(errors[0] == "a.yaml:1:9: listen: expected text, found a list");
  CHECK(errors[1] ==
        "a.yaml:2:1: unknown key \"conect_timeout\" (did you mean \"connect_timeout\"?)");
  CHECK(errors[2] ==
        "a.yaml:3:18: connect-timeout: \"400\" is not a duration without a unit (try "
        "400ms, 400s or 400m)");
  CHECK(errors[3] == "a.yaml:4:10: backlog: expected a number, found a map");
  CHECK(errors[4].starts_with("a.yaml:5:10: server: expected a list or text, found a map"));
  CHECK(errors[5].starts_with("a.yaml:6:13: preconnect: \"perhaps\" is not"));
  CHECK(errors[6] == "a.yaml:7:1: \"check_config\" belongs on the command line: --check-config");
  CHECK(errors[7] == "a.yaml:8:13: unknown key \"shpe\" (did you mean \"shape\"?)");
  CHECK(errors[8] == "a.yaml:8:26: pools.q: expected a map of options, found a single value");
  CHECK_FALSE(loaded.config.only_usage_errors);
}

TEST_CASE("a key is accepted with dashes or underscores, but once") {
  const Loaded loaded =
      load(World::of_file("listen: x:1\nconnect_timeout: 1s\nconnect-timeout: 2s\n"));
  CHECK(loaded.errors() == "a.yaml:3:1: \"connect-timeout\" was given in line 2 already\n");
}

TEST_CASE("a key without a value is refused, for it may be a slip") {
  const Loaded loaded = load(World::of_file("listen:\nserver:\n"));
  CHECK(loaded.problems.errors().size() >= 2);
  CHECK(loaded.errors().find("listen: expected text, found nothing") != std::string::npos);
}

TEST_CASE("bare integers are milliseconds only where nutcracker's keys say so") {
  const Loaded loaded =
      load(World::of_file("listen: x:1\npools: {p: {timeout: 400}, q: {timeout: 2s}}\n"));
  REQUIRE_MESSAGE(loaded.problems.ok(), loaded.errors());
  CHECK(loaded.role().pools[0].timeout == Millis{400});
  CHECK(loaded.role().pools[1].timeout == Millis{2000});
}

TEST_CASE("the role sees the file before its tables do") {
  CHECK(load(World::of_file("old_listen: y:2\n")).role().listen == "y:2");
}

TEST_CASE("a file that cannot be read, or is not a map, is one clear error") {
  World world;
  world.flags = {{"config", "gone.yaml"}, {"listen", "x:1"}};
  CHECK(load(world).errors() ==
        "cannot read the configuration: gone.yaml: No such file or directory\n");
  CHECK_FALSE(load(world).config.only_usage_errors);
  world.files["gone.yaml"] = "- a\n- b\n";
  CHECK(load(world).errors() == "gone.yaml:1:1: expected options as `key: value`, found a list\n");
}

TEST_CASE("an empty file changes nothing") {
  World world = World::of_file("# only a comment\n");
  world.flags.push_back({"listen", "x:1"});
  CHECK(load(world).errors().empty());
}

TEST_CASE("a required option may come from any source, and its absence is reported") {
  World world;
  const Loaded missing = load(world);
  CHECK(missing.errors() ==
        "--listen is required (or CONSORT_FAKE_PROXY_LISTEN, or \"listen\" in "
        "the file)\n");
  CHECK(missing.config.only_usage_errors);
  world.environment["CONSORT_FAKE_PROXY_LISTEN"] = "x:1";
  CHECK(load(world).problems.ok());
}

TEST_CASE("only what was typed on the command line is a usage error") {
  World world;
  world.flags = {{"listen", "x:1"}, {"connect-timeout", "5x"}};
  Loaded loaded = load(world);
  CHECK(loaded.errors() == "--connect-timeout: \"5x\" is not a duration (try 250ms, 10s or 5m)\n");
  CHECK(loaded.config.only_usage_errors);
  world.environment["CONSORT_FAKE_PROXY_BACKLOG"] = "many";
  loaded = load(world);
  CHECK(loaded.problems.errors().size() == 2);
  CHECK(loaded.problems.errors()[0].starts_with("CONSORT_FAKE_PROXY_BACKLOG: \"many\" is not"));
  CHECK_FALSE(loaded.config.only_usage_errors);
}

TEST_CASE("what the role validates is an error, and its warnings are kept apart") {
  World world;
  world.flags = {{"listen", "x:1"}, {"backlog", "0"}};
  CHECK(load(world).errors() == "backlog must be more than 0\n");
  CHECK(load(world).config.only_usage_errors);
  world.flags[1].value = "5000";
  CHECK(load(world).problems.ok());
  CHECK(load(world).problems.warnings().size() == 1);
}

TEST_CASE("a secret comes from a file or ..._FILE, never from a flag or a plain variable") {
  World world;
  world.flags = {{"listen", "x:1"}};
  SUBCASE("a file named by the environment, without its last newline") {
    world.environment["CONSORT_FAKE_PROXY_PASSWORD_FILE"] = "/run/secret";
    world.files["/run/secret"] = "s3cret\n";
    const Loaded loaded = load(world);
    REQUIRE_MESSAGE(loaded.problems.ok(), loaded.errors());
    CHECK(loaded.role().password == "s3cret");
    CHECK(loaded.setting("password").values == std::vector<std::string>{"******"});
    CHECK(loaded.setting("password").source == "env CONSORT_FAKE_PROXY_PASSWORD_FILE");
    CHECK(print_config_yaml(loaded.config).find("s3cret") == std::string::npos);
  }
  SUBCASE("a secret file that is missing") {
    world.environment["CONSORT_FAKE_PROXY_PASSWORD_FILE"] = "/gone";
    CHECK(load(world).errors() ==
          "CONSORT_FAKE_PROXY_PASSWORD_FILE: /gone: No such file or directory\n");
  }
  SUBCASE("a flag") {
    world.flags.push_back({"password", "s3cret"});
    CHECK(load(world).errors().find("CONSORT_FAKE_PROXY_PASSWORD_FILE") != std::string::npos);
    CHECK(load(world).errors().find("s3cret") == std::string::npos);
  }
  SUBCASE("a plain variable") {
    world.environment["CONSORT_FAKE_PROXY_PASSWORD"] = "s3cret";
    CHECK_FALSE(load(world).problems.ok());
    CHECK(load(world).errors().find("s3cret") == std::string::npos);
  }
}

TEST_CASE("the common options are checked, and named as their source spells them") {
  World world;
  world.flags = {{"listen", "x:1"}, {"admin", "nonsense"}};
  CHECK(load(world).errors().starts_with("--admin: "));
  world.flags = {{"listen", "x:1"}, {"grace", "1s"}, {"shutdown-delay", "2s"}};
  CHECK(load(world).errors().starts_with("--shutdown-delay: 2s is longer than the grace of 1s"));
  for (const char* name : {"", "a/b", "a b", "a\nb", "caf\xC3\xA9"}) {
    CAPTURE(name);
    world.flags = {{"listen", "x:1"}, {"name", name}};
    CHECK(load(world).errors().ends_with(" must be one word of ASCII without /\n"));
  }
  world.flags = {{"listen", "x:1"}, {"print-config", "shcema"}};
  CHECK(load(world).errors().starts_with("--print-config: \"shcema\" is not one of"));
  world.flags = {{"listen", "x:1"}, {"admin", "none"}};
  CHECK(load(world).problems.ok());
}

TEST_CASE("the defaults of name and admin come from the role") {
  World world;
  world.flags = {{"listen", "x:1"}};
  const Loaded loaded = load(world);
  CHECK(loaded.config.manage.name == "fake-proxy");
  CHECK(loaded.config.manage.admin == ":9899");
}

TEST_CASE("a printed configuration is a file that means the same") {
  World world = World::of_file(
      "listen: '[::1]:80'\n"
      "server: ['a:1 name', 'yes', '- x', '', \"tab\\there # ' \\\" \\u00e9\"]\n"
      "pools: {'p.q': {shape: slots, server: a:1, token: t}, 'r s': {}}\n");
  world.environment["CONSORT_FAKE_PROXY_PASSWORD_FILE"] = "/run/secret";
  world.files["/run/secret"] = "s3cret";
  const Loaded first = load(world);
  REQUIRE_MESSAGE(first.problems.ok(), first.errors());
  const std::string yaml = print_config_yaml(first.config);
  CAPTURE(yaml);
  const Loaded second = load(World::of_file(yaml));
  REQUIRE_MESSAGE(second.problems.ok(), second.errors());
  REQUIRE(first.config.settings.size() == second.config.settings.size());
  for (std::size_t i = 0; i < first.config.settings.size(); ++i) {
    const Setting& before = first.config.settings[i];
    const Setting& after = second.config.settings[i];
    CHECK(before.key == after.key);
    if (!before.secret) CHECK_MESSAGE(before.values == after.values, before.key);
  }
  CHECK(yaml.find("s3cret") == std::string::npos);
  CHECK(second.role().password.empty());
}

TEST_CASE("an example file changes nothing, and can be uncommented") {
  const std::string example = print_config_example(kFake);
  World world = World::of_file(example);
  world.flags.push_back({"listen", "x:1"});
  const Loaded loaded = load(world);
  CHECK_MESSAGE(loaded.problems.ok(), loaded.errors());
  CHECK(example.find("# connect_timeout: 500ms\n") != std::string::npos);
  CHECK(example.find("#     # shape: ring\n") != std::string::npos);
}

TEST_CASE("the schema is JSON with every key and no invocation-only option") {
  const std::string schema = print_config_schema(kFake);
  auto node = read_json(schema);
  REQUIRE_MESSAGE(node.has_value(), schema);
  const Node* properties = node->find("properties");
  REQUIRE(properties != nullptr);
  for (const char* key : {"listen", "connect_timeout", "server", "pools", "admin", "log_level"}) {
    CHECK_MESSAGE(properties->find(key) != nullptr, key);
  }
  CHECK(properties->find("check_config") == nullptr);
  CHECK(properties->find("config") == nullptr);
  CHECK(properties->find("log_level")->find("enum")->items.size() == 5);
}

TEST_CASE("a change is split by what a reload can apply, and a changed secret is seen") {
  World world = World::of_file("listen: x:1\nbacklog: 1\npools: {p: {timeout: 1s, shape: ring}}\n");
  world.environment["CONSORT_FAKE_PROXY_PASSWORD_FILE"] = "/run/secret";
  world.files["/run/secret"] = "one";
  const Loaded before = load(world);
  world.files["/run/secret"] = "two";
  world.files["a.yaml"] = "listen: x:1\nbacklog: 2\npools: {p: {timeout: 2s, shape: slots}}\n";
  const Loaded after = load(world);
  const ConfigChange change = compare(before.config, after.config);
  CHECK(change.reloadable == std::vector<std::string>{"password", "pools.p.timeout"});
  CHECK(change.needs_restart == std::vector<std::string>{"backlog", "pools.p.shape"});
  CHECK(compare(before.config, before.config).needs_restart.empty());
  CHECK(compare(before.config, before.config).reloadable.empty());
}

TEST_CASE("an entry that comes or goes is a change of each of its keys") {
  const Loaded before = load(World::of_file("listen: x:1\n"));
  const Loaded after = load(World::of_file("listen: x:1\npools: {p: {}}\n"));
  const ConfigChange change = compare(before.config, after.config);
  CHECK(change.reloadable == std::vector<std::string>{"pools.p.timeout"});
  CHECK(change.needs_restart.size() == 3);
}

}  // namespace consort
