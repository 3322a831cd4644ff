// Predicates as a person reads them: `/score < 0.5`, `/lang in ["py", "c"]`, `not (/draft == true)`.
#pragma once

#include <string>

#include "config/pipeline.h"

namespace leat::filter {

// One line, UTF-8. Long lists are cut ("... 17 more"). The whole document is called `record`.
std::string describe(const config::Predicate& predicate);

// What `leat explain` shows of this stage: prints the proto::FilterPlan and returns the exit code. Loads the files of in_file.
// Throws stage::Fatal when one of them cannot be read.
int print_description(const config::Pipeline& pipeline);

}  // namespace leat::filter
