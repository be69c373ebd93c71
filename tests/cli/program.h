// Runs the program that ONDINE_PROGRAM names as a user's shell would.
#ifndef ONDINE_TESTS_CLI_PROGRAM_H_
#define ONDINE_TESTS_CLI_PROGRAM_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/temp_dir.h"

namespace ondine::testing {

struct Outcome {
  int code = -1;  // exit code; 128 + n where signal n ended it
  std::string out, error;
};

class ProgramTest : public ::testing::Test {
 protected:
  // Writes the model that `Model()` names.
  ProgramTest();

  // Its standard input is `input`.
  Outcome Run(const std::vector<std::string>& arguments, const std::string& input = "") const;
  // The same, and it must succeed.
  std::string Output(const std::vector<std::string>& arguments,
                     const std::string& input = "") const;
  nlohmann::json Json(const std::vector<std::string>& arguments,
                      const std::string& input = "") const;
  // Exit code `code`, nothing on standard output and one line on standard error, which it returns.
  std::string Refusal(int code, const std::vector<std::string>& arguments,
                      const std::string& input = "") const;

  // Starts it and does not wait; its output goes to the files "out" and "error".
  pid_t Start(const std::vector<std::string>& arguments, const std::string& input = "") const;
  // Its standard input is a file or pipe; it has no terminal, or the one named.
  pid_t StartFrom(const std::string& path, const std::vector<std::string>& arguments,
                  const std::string& terminal = "") const;
  Outcome Wait(pid_t process) const;

  std::string Path(const std::string& name) const { return folder_.File(name); }
  std::string Write(const std::string& name, const std::string& content) const;
  std::string Model() const { return Path("tiny.gguf"); }
  std::vector<std::string> Files() const;  // names in the folder but those of Run() itself

 private:
  const TempDir folder_;
};

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_CLI_PROGRAM_H_
