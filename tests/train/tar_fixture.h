// Archives as `tar --format=ustar` writes them.
#ifndef ONDINE_TESTS_TRAIN_TAR_FIXTURE_H_
#define ONDINE_TESTS_TRAIN_TAR_FIXTURE_H_

#include <cstdio>
#include <string>

namespace ondine::testing {

inline std::string TarMember(const std::string& name, const std::string& content, char kind = '0') {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  char size[16];
  std::snprintf(size, sizeof size, "%011zo", content.size());
  header.replace(124, 11, size);
  header[156] = kind;
  header.replace(257, 8, std::string("ustar\00000", 8));
  header.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char digits[16];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  header.replace(148, 7, digits, 7);
  return header + content + std::string((512 - content.size() % 512) % 512, '\0');
}

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_TRAIN_TAR_FIXTURE_H_
