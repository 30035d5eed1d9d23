#include "net/aws_sigv4.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "io/digest.hpp"

namespace consort::aws {
namespace {

const std::string kTime = "20150830T123600Z";
const std::string kUnreserved =
    "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const std::string kToken =
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfI"
    "eoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0"
    "wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"
    "scqKmlzm8FDrypN"
    "C9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

Keys suite_keys() {
  return {.access_key_id = "AKIDEXAMPLE",
          .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
}

/// One request of AWS's test suite (aws-sig-v4-test-suite): us-east-1, "service", 2015-08-30.
struct Vector {
  std::string name;
  std::string method;
  std::string path;  ///< as the suite writes it, not encoded
  Parameters query;
  http1::Headers headers;  ///< beside Host and X-Amz-Date
  std::string body;
  std::string signature;
};

std::vector<Vector> suite() {
  const std::string vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
  return {
      {"get-vanilla", "GET", "/", {}, {}, "", vanilla},
      {"get-vanilla-empty-query-key",
       "GET",
       "/",
       {{"Param1", "value1"}},
       {},
       "",
       "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
      {"get-vanilla-query-order-key-case",
       "GET",
       "/",
       {{"Param2", "value2"}, {"Param1", "value1"}},
       {},
       "",
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-query-order-value",
       "GET",
       "/",
       {{"Param1", "value2"}, {"Param1", "value1"}},
       {},
       "",
       "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
      {"get-vanilla-query-unreserved",
       "GET",
       "/",
       {{kUnreserved, kUnreserved}},
       {},
       "",
       "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
      {"get-vanilla-utf8-query",
       "GET",
       "/",
       {{"\u1234", "bar"}},
       {},
       "",
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"get-unreserved",
       "GET",
       "/" + kUnreserved,
       {},
       {},
       "",
       "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
      {"get-utf8",
       "GET",
       "/\u1234",
       {},
       {},
       "",
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-space",
       "GET",
       "/example space/",
       {},
       {},
       "",
       "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
      {"get-relative", "GET", "/example/..", {}, {}, "", vanilla},
      {"get-relative-relative", "GET", "/example1/example2/../..", {}, {}, "", vanilla},
      {"get-slash", "GET", "//", {}, {}, "", vanilla},
      {"get-slash-dot-slash", "GET", "/./", {}, {}, "", vanilla},
      {"get-slash-pointless-dot",
       "GET",
       "/./example",
       {},
       {},
       "",
       "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
      {"get-slashes",
       "GET",
       "//example//",
       {},
       {},
       "",
       "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
      {"get-header-key-duplicate",
       "GET",
       "/",
       {},
       {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}},
       "",
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-header-value-order",
       "GET",
       "/",
       {},
       {{"My-Header1", "value4"},
        {"My-Header1", "value1"},
        {"My-Header1", "value3"},
        {"My-Header1", "value2"}},
       "",
       "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
      {"get-header-value-trim",
       "GET",
       "/",
       {},
       {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
       "",
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"post-vanilla",
       "POST",
       "/",
       {},
       {},
       "",
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"post-vanilla-query",
       "POST",
       "/",
       {{"Param1", "value1"}},
       {},
       "",
       "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
      {"post-header-key-sort",
       "POST",
       "/",
       {},
       {{"My-Header1", "value1"}},
       "",
       "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
      {"post-header-value-case",
       "POST",
       "/",
       {},
       {{"My-Header1", "VALUE1"}},
       "",
       "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
      {"post-sts-header-before",
       "POST",
       "/",
       {},
       {{"X-Amz-Security-Token", kToken}},
       "",
       "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
      // Of the two versions in circulation the one that does not sign Content-Length.
      {"post-x-www-form-urlencoded",
       "POST",
       "/",
       {},
       {{"Content-Type", "application/x-www-form-urlencoded"}},
       "Param1=value1",
       "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
      {"post-x-www-form-urlencoded-parameters",
       "POST",
       "/",
       {},
       {{"Content-Type", "application/x-www-form-urlencoded; charset=utf8"}},
       "Param1=value1",
       "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
  };
}

TEST_CASE("AWS's test suite is signed as AWS signs it") {
  for (const Vector& each : suite()) {
    CAPTURE(each.name);
    http1::Headers headers = each.headers;
    headers.emplace_back("Host", "example.amazonaws.com");
    headers.emplace_back("X-Amz-Date", kTime);
    const std::string path = uri_encode(normalize_path(each.path), Slash::keep);
    const std::string query = encode_query(each.query);
    const std::string hash = io::to_hex(io::sha256(each.body));
    const Signable request{.method = each.method,
                           .path = path,
                           .query = query,
                           .headers = &headers,
                           .payload_hash = hash};
    const Scope scope{.time = kTime, .region = "us-east-1", .service = "service"};
    const std::string header = authorization(suite_keys(), scope, request);
    CHECK(header.substr(header.size() - 64) == each.signature);
  }
}

TEST_CASE("canonical request, string to sign and header are AWS's, byte for byte") {
  const http1::Headers headers{{"My-Header2", " \"a   b   c\""},
                               {"X-Amz-Date", kTime},
                               {"Host", "example.amazonaws.com"},
                               {"My-Header1", " value1"}};
  const Signable request{
      .method = "GET", .path = "/", .query = "", .headers = &headers, .payload_hash = kEmptyHash};
  const Scope scope{.time = kTime, .region = "us-east-1", .service = "service"};
  const std::string canonical = canonical_request(request);
  CHECK(canonical ==
        "GET\n/\n\nhost:example.amazonaws.com\nmy-header1:value1\nmy-header2:\"a b c\"\n"
        "x-amz-date:20150830T123600Z\n\nhost;my-header1;my-header2;x-amz-date\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(string_to_sign(scope, canonical) ==
        "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n"
        "a726db9b0df21c14f559d0a978e563112acb1b9e05476f0a6a1c7d68f28605c7");
  CHECK(authorization(suite_keys(), scope, request) ==
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;my-header1;my-header2;x-amz-date, "
        "Signature=acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

/// "Authenticating Requests", Amazon S3 API Reference: its four examples.
std::string sign_for_s3(std::string_view method, std::string_view path,
                        const Parameters& parameters, http1::Headers headers,
                        std::string_view payload_hash) {
  const Keys keys{.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                  .secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
  headers.emplace_back("Host", "examplebucket.s3.amazonaws.com");
  headers.emplace_back("x-amz-date", "20130524T000000Z");
  headers.emplace_back("x-amz-content-sha256", payload_hash);
  const std::string encoded = uri_encode(path, Slash::keep);
  const std::string query = encode_query(parameters);
  const Signable request{.method = method,
                         .path = encoded,
                         .query = query,
                         .headers = &headers,
                         .payload_hash = payload_hash};
  const Scope scope{.time = "20130524T000000Z", .region = "us-east-1", .service = "s3"};
  const std::string header = authorization(keys, scope, request);
  return header.substr(header.size() - 64);
}

TEST_CASE("the examples of the S3 manual are signed as the manual signs them") {
  CHECK(sign_for_s3("GET", "/test.txt", {}, {{"Range", "bytes=0-9"}}, kEmptyHash) ==
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  CHECK(sign_for_s3("PUT", "/test$file.text", {},
                    {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                    io::to_hex(io::sha256("Welcome to Amazon S3."))) ==
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  CHECK(sign_for_s3("GET", "/", {{"lifecycle", ""}}, {}, kEmptyHash) ==
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  CHECK(sign_for_s3("GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {}, kEmptyHash) ==
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST_CASE("only what RFC 3986 calls unreserved stays bare") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  std::string bare;
  const std::string encoded = uri_encode(all, Slash::escape);
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] == '%') {
      i += 2;
    } else {
      bare += encoded[i];
    }
  }
  CHECK(bare == "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~");
  CHECK(uri_encode("a/b c+\xC3\xBC%2f", Slash::keep) == "a/b%20c%2B%C3%BC%252f");
  CHECK(uri_encode("/", Slash::escape) == "%2F");
  CHECK(uri_encode("//./../x", Slash::keep) == "//./../x");
}

TEST_CASE("a query is sorted by what it is encoded to, and every name has its =") {
  CHECK(encode_query({{"uploads", ""}}) == "uploads=");
  CHECK(encode_query({{"b", "2"}, {"a", "x/y"}, {"a", "x y"}}) == "a=x%20y&a=x%2Fy&b=2");
  // '-' sorts before '.', and "%" before both.
  CHECK(encode_query({{"a.", ""}, {"a-", ""}, {"a\x7F", ""}}) == "a%7F=&a-=&a.=");
  CHECK(encode_query({}).empty());
}

TEST_CASE("dot segments and doubled slashes go for services other than S3") {
  CHECK(normalize_path("") == "/");
  CHECK(normalize_path("/a/b") == "/a/b");
  CHECK(normalize_path("/a/./b/../c//") == "/a/c/");
  CHECK(normalize_path("/../../a") == "/a");
  CHECK(normalize_path("/a/b/..") == "/a/");
}

TEST_CASE("times are written and read in UTC") {
  CHECK(amz_date(0) == "19700101T000000Z");
  CHECK(amz_date(1'440'938'160'999) == kTime);
  CHECK(amz_date(1'709'164'800'000) == "20240229T000000Z");
  CHECK(amz_date(-1) == "19691231T235959Z");
  CHECK(parse_expiration("2015-08-30T12:36:00Z") == 1'440'938'160'000);
  CHECK(parse_expiration("2015-08-30T12:36:00.999Z") == 1'440'938'160'000);
  for (const char* wrong :
       {"", "2015-08-30", "2015-08-30T12:36:00", "2015-13-30T12:36:00Z", "2015-08-30T25:36:00Z",
        "2015-08-30T12:36:00+0Z", "x015-08-30T12:36:00Z", "2015-02-30T12:36:00Z"}) {
    CAPTURE(wrong);
    CHECK(parse_expiration(wrong) == kNever);
  }
}

}  // namespace
}  // namespace consort::aws
