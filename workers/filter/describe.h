// Predicates as a person reads them: `/score < 0.5`, `/lang in ["py", "c"]`, `not (/draft == true)`.
#pragma once

#include <string>

#include "config/pipeline.h"

namespace leat::filter {

// One line, UTF-8. Long lists are cut ("... 17 more"). The whole document is called `record`.
std::string describe(const config::Predicate& predicate);

// What `leat explain` shows of this stage: prints the proto::FilterPlan of the pipeline file; returns the exit code. Loads the files of in_file. Throws stage::Fatal when the file is no pipeline or one of those cannot be read.
int print_description(const std::string& pipeline_file);

}  // namespace leat::filter
