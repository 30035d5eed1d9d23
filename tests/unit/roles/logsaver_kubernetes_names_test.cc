#include <doctest/doctest.h>

#include <string>

#include "roles/logsaver/records/kubernetes_names.hpp"

using namespace consort::logsaver;

namespace {

const std::string kUid = "0123abcd-4567-89ef-0123-456789abcdef";
const std::string kId(64, 'c');

}  // namespace

TEST_CASE("a file of a pod tells its namespace, pod, container and restarts") {
  const std::string path = "/var/log/pods/kube-system_web-7d4.a_" + kUid + "/nginx/3.log";
  for (const std::string end : {"", ".20060102-150405", ".20060102-150405.gz"}) {
    CAPTURE(end);
    const std::string whole = path + end;
    const auto names = kubernetes_names(whole);
    REQUIRE(names);
    CHECK(names->pod_namespace == "kube-system");
    CHECK(names->pod == "web-7d4.a");
    CHECK(names->uid == kUid);
    CHECK(names->container == "nginx");
    CHECK(names->container_id.empty());
    CHECK(names->restarts == 3);
  }
}

TEST_CASE("a static pod's hash and a mounted directory are fine") {
  const auto names =
      kubernetes_names("/host/pods/ns_pod_0123456789abcdef0123456789abcdef/app/0.log");
  REQUIRE(names);
  CHECK(names->uid == "0123456789abcdef0123456789abcdef");
  CHECK(names->restarts == 0);
}

TEST_CASE("a link in containers tells pod, namespace, container and its identifier") {
  const std::string path = "/var/log/containers/web-7d4_default_side-car-" + kId + ".log";
  const auto names = kubernetes_names(path);
  REQUIRE(names);
  CHECK(names->pod == "web-7d4");
  CHECK(names->pod_namespace == "default");
  CHECK(names->container == "side-car");
  CHECK(names->container_id == kId);
  CHECK(names->uid.empty());
  CHECK_FALSE(names->restarts);
}

TEST_CASE("other files are nobody's") {
  const std::string pod = "/var/log/pods/ns_pod_" + kUid;
  for (const std::string& path : {
           std::string(),
           std::string("/"),
           std::string("0.log"),
           pod + "/app/0.txt",
           pod + "/app/x.log",
           pod + "/app/0.log.1",
           pod + "/app/0.log.20060102-150405.bz2",
           pod + "/app/99999999999.log",
           pod + "/App/0.log",
           pod + "/0.log",
           pod + "_x/app/0.log",
           std::string("/var/log/pods/ns_pod_uid/app/0.log"),
           std::string("/var/log/pods/ns_pod/app/0.log"),
           "/var/log/pods/NS_pod_" + kUid + "/app/0.log",
           "/var/log/pods/ns_-pod_" + kUid + "/app/0.log",
           "/var/log/pods/" + std::string(64, 'n') + "_pod_" + kUid + "/app/0.log",
           "/var/log/containers/pod_ns_app-" + kId,
           "/var/log/containers/pod_ns_" + kId + ".log",
           "/var/log/containers/pod_ns_app-" + kId.substr(1) + ".log",
           "/var/log/containers/pod_ns_app-" + kId.substr(1) + "X.log",
           "/var/log/containers/pod-ns-app-" + kId + ".log",
       }) {
    CAPTURE(path);
    CHECK_FALSE(kubernetes_names(path));
  }
}
