// The terminal and the standard streams: errors, progress, lines of input, interruption.
#ifndef ONDINE_SRC_CLI_CONSOLE_H_
#define ONDINE_SRC_CLI_CONSOLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ondine/progress.h"
#include "ondine/result.h"

namespace ondine::cli {

// One line on standard error.
void PrintError(std::string_view message);
void PrintNote(std::string_view message);

// Whether all that was written to standard output has arrived: kIo where a disk is full, say.
Status FlushOutput();

// True where standard output, or error, is a terminal.
bool OutputIsTerminal();
bool ErrorIsTerminal();

// Shows a text to whoever sits at the terminal, whatever input and output are connected with, and
// returns the line that is typed then; what was typed before does not count. nullopt where nobody
// does.
std::optional<std::string> AskOnTerminal(const std::string& text);

// The next line of standard input, without its end; nullopt at the end of input, and at once when
// the program is or was interrupted.
std::optional<std::string> ReadInputLine();

// The text with bytes that a terminal would obey instead of showing, or that turn the direction of
// writing, as "\x1b": what is seen is what there is. Lines and tabs stay.
std::string Visible(std::string_view text);
// The same of lines and tabs, too: for names, of files above all.
std::string VisibleLine(std::string_view text);

// A piece of a model's text on standard output, at once. A terminal gets it as Visible() has it:
// models repeat what they have read.
void ShowText(std::string_view text);

// Set by Ctrl-C; a second Ctrl-C ends the program at once.
StopToken InterruptToken();
void InstallInterruptHandler();

// A line on standard error that is rewritten in place while work goes on, at most ten times a
// second; nothing where standard error is no terminal and it was not asked for.
class ProgressLine {
 public:
  explicit ProgressLine(bool wanted);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  bool enabled() const { return enabled_; }
  void Show(const std::string& text);
  void Clear();

 private:
  bool enabled_;
  bool shown_ = false;
  double last_ = 0;
};

// "1.5 MB", "3.2 GB": powers of 1000.
std::string HumanBytes(std::int64_t bytes);
// "1,234,567"
std::string Grouped(std::int64_t number);
// Printf-style "%.*f".
std::string Fixed(double value, int digits);
// "8 s", "3 min 05 s"
std::string HumanSeconds(double seconds);
// "5 s left", where `done` of `total` took so many seconds.
std::string TimeLeft(double seconds, std::int64_t done, std::int64_t total);

}  // namespace ondine::cli

#endif  // ONDINE_SRC_CLI_CONSOLE_H_
