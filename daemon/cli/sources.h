// A source of the ledger as a person or a program reads it. Exposed for tests.
#pragma once

#include <string>

#include "proto/base/json.h"
#include "workers/ledger/ledger.h"

namespace leat::cli {

std::string source_header();
std::string source_line(const ledger::Source& source);  // with its newline; a second line says the reason
void put_source(JsonWriter& json, const ledger::Source& source);

}  // namespace leat::cli
