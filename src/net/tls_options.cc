#include "net/tls_options.hpp"

namespace consort {
namespace {

constexpr Option kTable[] = {
    option<&TlsOptions::ca_file>(
        "ca-file", "authorities that https servers must be signed by, PEM; default the system's"),
    option<&TlsOptions::client_cert>("client-cert", "certificate shown to https servers, PEM"),
    option<&TlsOptions::client_key>("client-key",
                                    "its key, PEM; default: in the file of the certificate"),
    option<&TlsOptions::insecure_skip_verify>(
        "insecure-skip-verify", "take any certificate of https servers: for tests only"),
};

}  // namespace

constinit const std::span<const Option> kTlsOptions{kTable};

}  // namespace consort
