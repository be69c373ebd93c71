// Builds safetensors files, right or wrong as a test wants them.
#ifndef ONDINE_TESTS_FORMATS_SAFETENSORS_BYTES_H_
#define ONDINE_TESTS_FORMATS_SAFETENSORS_BYTES_H_

#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace ondine::testing {

// Any header before any data.
inline std::string SafetensorsBytes(std::string_view header, std::string_view data) {
  const std::uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  return bytes.append(header).append(data);
}

// The numbers of one element type as a file holds them.
template <typename T>
std::string Stored(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// A right file, tensor by tensor.
class SafetensorsParts {
 public:
  struct Tensor {
    std::string type;
    std::vector<std::int64_t> shape;  // outermost dimension first
    std::string data;
  };
  std::map<std::string, Tensor> tensors;

  std::string Bytes() const {
    std::ostringstream header;
    std::string data;
    header << R"({"__metadata__":{"format":"pt"})";
    for (const auto& [name, tensor] : tensors) {
      header << ",\"" << name << R"(":{"dtype":")" << tensor.type << R"(","shape":[)";
      for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
        header << (i > 0 ? "," : "") << tensor.shape[i];
      }
      header << R"(],"data_offsets":[)" << data.size() << ",";
      data += tensor.data;
      header << data.size() << "]}";
    }
    header << "}";
    return SafetensorsBytes(header.str(), data);
  }
};

}  // namespace ondine::testing

#endif  // ONDINE_TESTS_FORMATS_SAFETENSORS_BYTES_H_
