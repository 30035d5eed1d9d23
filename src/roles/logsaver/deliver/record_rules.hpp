// What is done to every record between a file and the destinations, for all of them alike.
#pragma once

#include <string>

#include "base/regex.hpp"
#include "roles/logsaver/records/assembler.hpp"
#include "roles/logsaver/records/fields.hpp"
#include "roles/logsaver/records/line_filter.hpp"
#include "roles/logsaver/records/redaction.hpp"

namespace consort::logsaver {

/// Keeps counters and scratch space, so it belongs to one thread. Does not move: the assembler's
/// rules are referred to.
struct RecordRules {
  AssemblerRules assembler;
  Redaction redaction;
  FieldParser fields;
  LineFilter filter;

  /// Lines pass as they are: nothing needs to look into them.
  bool are_plain() const {
    return Assembler::is_plain(assembler) && redaction.empty() && fields.empty() && filter.empty();
  }
};

}  // namespace consort::logsaver
