// What `leat explain` shows of the reader: which files it would read.
#pragma once

#include <string>

namespace leat::reader {

// Prints the proto::Listing of the pipeline file; returns the exit code. Throws stage::Fatal when the file is no pipeline.
int print_list(const std::string& pipeline_file);

}  // namespace leat::reader
