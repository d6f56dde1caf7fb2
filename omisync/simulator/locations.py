"""Omisell's address system: provinces, districts, subdistricts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Level = Literal["province", "district", "subdistrict"]
Nested: TypeAlias = Mapping[str, Mapping[str, Sequence[str]] | Sequence[str]]
"""Province to districts to subdistricts; or province to subdistricts, where districts were abolished."""

BUILT_IN: Final[Nested] = {
    "Hà Nội": {
        "Quận Ba Đình": ("Phường Phúc Xá", "Phường Trúc Bạch", "Phường Điện Biên", "Phường Kim Mã"),
        "Quận Hoàn Kiếm": ("Phường Hàng Bạc", "Phường Hàng Trống", "Phường Tràng Tiền"),
        "Quận Cầu Giấy": ("Phường Dịch Vọng", "Phường Nghĩa Tân", "Phường Yên Hoà"),
        "Huyện Gia Lâm": ("Thị trấn Trâu Quỳ", "Xã Bát Tràng"),
    },
    "Hồ Chí Minh": {
        "Quận 1": ("Phường Bến Nghé", "Phường Bến Thành", "Phường Đa Kao"),
        "Quận 3": ("Phường Võ Thị Sáu", "Phường 1", "Phường 2"),
        "Quận Bình Thạnh": ("Phường 1", "Phường 13", "Phường 25"),
        "Thành phố Thủ Đức": ("Phường Thảo Điền", "Phường An Phú", "Phường Linh Trung"),
    },
    "Đà Nẵng": {
        "Quận Hải Châu": ("Phường Thạch Thang", "Phường Hải Châu I", "Phường Hoà Cường Bắc"),
        "Quận Sơn Trà": ("Phường An Hải Bắc", "Phường Mân Thái"),
    },
    "Cần Thơ": {
        "Quận Ninh Kiều": ("Phường Cái Khế", "Phường An Hoà", "Phường Tân An"),
        "Quận Cái Răng": ("Phường Lê Bình", "Phường Hưng Phú"),
    },
    "Bình Dương": {
        "Thành phố Thủ Dầu Một": ("Phường Hiệp Thành", "Phường Phú Lợi"),
        "Thành phố Dĩ An": ("Phường Dĩ An", "Phường Tân Đông Hiệp"),
    },
    "Nghệ An": {
        "Thành phố Vinh": ("Phường Lê Lợi", "Phường Hưng Bình"),
        "Huyện Diễn Châu": ("Xã Diễn Kỷ", "Xã Diễn Thành"),
    },
}
"""Enough for a try; `AccountConfig.locations` takes real lists of the same form."""


@dataclass(frozen=True, slots=True)
class Location:
    """One row of a location list; `parent_id` is None for a province."""

    id: int
    name: str
    parent_id: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """A whole address in Omisell's own spelling; `district` is empty where there are none."""

    province: str
    district: str
    subdistrict: str


class Locations:
    """The lists, with ids given in order.

    Args:
        nested: The tree of names.
    """

    def __init__(self, nested: Nested) -> None:
        self.provinces: list[Location] = []
        self.districts: list[Location] = []
        self.subdistricts: list[Location] = []
        self._places: list[Place] = []
        self._ids: dict[tuple[Level, int | None, str], int] = {}
        for province, below in nested.items():
            self._add_province(province, below)

    def _add(self, level: Level, rows: list[Location], name: str, parent: int | None) -> int:
        base = {"province": 0, "district": 1_000, "subdistrict": 100_000}[level]
        row = Location(base + len(rows) + 1, name, parent)
        rows.append(row)
        self._ids[level, parent, name] = row.id
        return row.id

    def _add_province(self, province: str, below: Mapping[str, Sequence[str]] | Sequence[str]) -> None:
        province_id = self._add("province", self.provinces, province, None)
        if not isinstance(below, Mapping):
            for name in below:
                self._add("subdistrict", self.subdistricts, name, province_id)
                self._places.append(Place(province, "", name))
            return
        for district, names in below.items():
            district_id = self._add("district", self.districts, district, province_id)
            for name in names:
                self._add("subdistrict", self.subdistricts, name, district_id)
                self._places.append(Place(province, district, name))

    def id_of(self, level: Level, name: str, parent: int | None = None) -> int | None:
        """The id of a name, spelled exactly, below that parent; None if there is none."""
        return self._ids.get((level, parent, name))

    def __iter__(self) -> Iterator[Place]:
        """All complete addresses."""
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Place:
        return self._places[index]
