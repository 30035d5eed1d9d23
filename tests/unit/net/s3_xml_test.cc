#include "net/s3_xml.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "net/xml_walk.hpp"

namespace consort::s3 {
namespace {

/// "path=text;" of each element, or why not.
std::string walked(std::string_view document) {
  std::string out;
  const Result<> result = walk_xml(document, [&](std::string_view path, std::string_view text) {
    out.append(path).append("=").append(text).append(";");
  });
  return result ? out : std::string(to_string(result.error().code()));
}

TEST_CASE("elements are told at their end, with their path and own text") {
  CHECK(walked("<A><B>x</B><C/>\n <B>y</B></A>") == "A/B=x;A/C=;A/B=y;A=;");
  CHECK(walked("  \n<?xml version=\"1.0\"?><!-- <x> --><A xmlns='u:\"v' b = \"1\" >t</A >\n") ==
        "A=t;");
  CHECK(walked("<A> kept </A>") == "A= kept ;");
  CHECK(walked("<A>&lt;&amp;&gt;&quot;&apos;&#65;&#x20AC;&#x1F600;</A>") ==
        "A=<&>\"'A\xE2\x82\xAC\xF0\x9F\x98\x80;");
  CHECK(walked("<A><![CDATA[<b>&amp;]]></A>") == "A=<b>&amp;;");
}

TEST_CASE("what is no document is refused") {
  const std::string protocol(to_string(Errc::protocol));
  for (const std::string_view wrong : {"",
                                       "   ",
                                       "x",
                                       "<A>",
                                       "<A></B>",
                                       "</A>",
                                       "<A></A><B></B>",
                                       "<A/>x",
                                       "<A/>&amp;",
                                       "<A",
                                       "<A b></A>",
                                       "<A b=c></A>",
                                       "<A b='<'></A>",
                                       "<A b='x'c='y'></A>",
                                       "<A>&nbsp;</A>",
                                       "<A>&#0;</A>",
                                       "<A>&#xD800;</A>",
                                       "<A>&#x110000;</A>",
                                       "<A>&#;</A>",
                                       "<A>&#x;</A>",
                                       "<A>&amp</A>",
                                       "<A>\x01</A>",
                                       "<!DOCTYPE A [<!ENTITY x 'y'>]><A>&x;</A>",
                                       "<>x</>",
                                       "< A></A>",
                                       "<A><!-- </A>",
                                       "<A><![CDATA[ </A>",
                                       "<![CDATA[x]]>",
                                       "<A/ >",
                                       "<A></A"}) {
    CAPTURE(wrong);
    CHECK(walked(wrong) == protocol);
  }
}

TEST_CASE("depth, names and texts have limits") {
  std::string deep;
  for (std::size_t i = 0; i < kMaxXmlDepth; ++i) deep += "<a>";
  std::string closed = deep;
  for (std::size_t i = 0; i < kMaxXmlDepth; ++i) closed += "</a>";
  const std::string limit(to_string(Errc::limit));
  CHECK(walked(closed) != limit);
  CHECK(walked(deep + "<a>") == limit);
  const std::string name(kMaxXmlNameBytes, 'n');
  CHECK(walked("<" + name + "/>") == name + "=;");
  CHECK(walked("<" + name + "n/>") == limit);
  const std::string text(kMaxXmlTextBytes, 't');
  CHECK(walked("<A>" + text + "</A>") == "A=" + text + ";");
  CHECK(walked("<A>" + text + "t</A>") == limit);
  CHECK(walked("<A>" + text + "&amp;</A>") == limit);
}

TEST_CASE("an error body tells its code, whatever the status was") {
  const auto fault = parse_fault(
      "\n \n<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>InternalError</Code>"
      "<Message>We\nencountered</Message><RequestId>4</RequestId></Error>");
  REQUIRE(fault);
  CHECK(fault->code == "InternalError");
  CHECK(fault->message == "We encountered");
  CHECK(parse_fault("<Error/>")->code.empty());
  CHECK(parse_fault("<Error><Code>a b</Code></Error>")->code.empty());
  CHECK(parse_fault("<Error><Code>" + std::string(65, 'x') + "</Code></Error>")->code.empty());
  CHECK_FALSE(parse_fault(""));
  CHECK_FALSE(parse_fault("<html>502</html>"));
  CHECK_FALSE(parse_fault("<Error><Code>x</Code>"));
}

TEST_CASE("a listing has its keys, decoded, and where to go on") {
  const auto listing = parse_listing(
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
      "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
      "<NextContinuationToken>t/+=</NextContinuationToken>"
      "<Contents><Key>a+b/%2B%25</Key><ETag>&quot;e1&quot;</ETag><Size>5</Size></Contents>"
      "<Contents><Key>c</Key><Size>18446744073709551615</Size></Contents></ListBucketResult>");
  REQUIRE(listing);
  REQUIRE(listing->entries.size() == 2);
  CHECK(listing->entries[0].key == "a b/+%");
  CHECK(listing->entries[0].etag == "e1");
  CHECK(listing->entries[0].size == 5);
  CHECK(listing->entries[1].etag.empty());
  CHECK(listing->next == "t/+=");
}

TEST_CASE("without an encoding a percent sign is one") {
  const auto listing = parse_listing(
      "<ListBucketResult><Contents><Key>a%20+</Key></Contents>"
      "<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
      "</ListBucketResult>");
  REQUIRE(listing);
  CHECK(listing->entries[0].key == "a%20+");
  CHECK(listing->next.empty());
}

TEST_CASE("a listing that is not whole is none") {
  for (const std::string_view wrong :
       {"<Other/>", "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
        "<ListBucketResult><Contents><Key>a</Key><Size>1x</Size></Contents></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%zz</Key></Contents>"
        "</ListBucketResult>"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_listing(wrong));
  }
  std::string many = "<ListBucketResult>";
  for (std::size_t i = 0; i <= kMaxListed; ++i) many += "<Contents><Key>k</Key></Contents>";
  CHECK_FALSE(parse_listing(many + "</ListBucketResult>"));
}

TEST_CASE("uploads, new and completed ones") {
  const auto uploads = parse_uploads(
      "<ListMultipartUploadsResult><Upload><Key>a</Key><UploadId>1</UploadId></Upload>"
      "<Upload><Key>b</Key><UploadId>2</UploadId></Upload><IsTruncated>true</IsTruncated>"
      "<NextKeyMarker>b</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker>"
      "</ListMultipartUploadsResult>");
  REQUIRE(uploads);
  REQUIRE(uploads->uploads.size() == 2);
  CHECK(uploads->uploads[1].key == "b");
  CHECK(uploads->uploads[1].id == "2");
  CHECK(uploads->next_key == "b");
  CHECK(uploads->next_id == "2");
  CHECK_FALSE(
      parse_uploads("<ListMultipartUploadsResult><Upload><Key>a</Key></Upload>"
                    "</ListMultipartUploadsResult>"));

  const auto id = parse_upload_id(
      "<InitiateMultipartUploadResult><UploadId>x</UploadId>"
      "</InitiateMultipartUploadResult>");
  CHECK(id.value_or("") == "x");
  CHECK_FALSE(parse_upload_id("<InitiateMultipartUploadResult/>"));
  const auto etag = parse_completed(
      "  <CompleteMultipartUploadResult><ETag>\"e-2\"</ETag>"
      "</CompleteMultipartUploadResult>");
  CHECK(etag.value_or("") == "e-2");
  CHECK_FALSE(parse_completed("<Error><Code>InternalError</Code></Error>"));
  CHECK_FALSE(parse_completed("   "));
}

TEST_CASE("the parts of a complete request are numbered from 1") {
  CHECK(write_complete({"a", "<&\""}) ==
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>"
        "<Part><PartNumber>2</PartNumber><ETag>&lt;&amp;&quot;</ETag></Part>"
        "</CompleteMultipartUpload>");
}

}  // namespace
}  // namespace consort::s3
