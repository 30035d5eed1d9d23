// What gather-check says of one answer that it has in hand. Pure.
#pragma once

#include <string_view>

#include "roles/gather/check_connection.hpp"
#include "roles/gather/check_report.hpp"

namespace consort::gather {

/// Its end is told, and nothing comes after that.
Finding judge_framing(const SeenAnswer& answer);
/// What the Content-Type promises: JSON is JSON, text is UTF-8 unless it names another charset.
Finding judge_content(std::string_view content_type, std::string_view body);
/// Nothing but identity was allowed.
Finding judge_coding(const SeenAnswer& answer);
/// Consort-Weight, Consort-Coverage and Server-Timing: well-formed where they are sent.
Finding judge_optional_headers(const SeenAnswer& answer);

}  // namespace consort::gather
