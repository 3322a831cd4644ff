// Predicates as a person reads them: `/score < 0.5`, `/lang in ["py", "c"]`, `not (/draft == true)`.
#pragma once

#include <string>

#include "config/pipeline.h"

namespace leat::filter {

// One line, UTF-8. Long lists are cut ("... 17 more"). The whole document is called `record`.
std::string describe(const config::Predicate& predicate);

}  // namespace leat::filter
