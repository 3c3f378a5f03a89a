package photographs

import "rekindle/pkg/fetch"

// Where the packages lie; Debian's mirrors have the same tree.
const debian = "http://deb.debian.org/debian/"

// archive is a package of Debian 12 with the pictures in it that are taken, under
// the numbers that name them here. Their terms are in the package, in usr/share/doc:
// GPL-2+ (Plasma, MATE), CC BY, CC BY-SA and CC0 (Lomiri), CC BY-SA (GNOME).
type archive struct {
	fetch.File
	pictures map[string]int
}

var archives = []archive{
	{fetch.File{URL: debian + "pool/main/g/gnome-backgrounds/gnome-backgrounds_43.1-1_all.deb", Size: 32546832, SHA256: "a670dea21572652127d6e55f9cdb3a226d0037854fdbfd037003c7d00ee0dc4e"}, map[string]int{
		"usr/share/backgrounds/gnome/grid-l.webp":     12,
		"usr/share/backgrounds/gnome/licorice-l.webp": 14,
		"usr/share/backgrounds/gnome/wood-l.webp":     22,
	}},
	{fetch.File{URL: debian + "pool/main/l/lomiri-wallpapers/lomiri-wallpapers-16.04_20.04.0-2_all.deb", Size: 15783184, SHA256: "a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab"}, map[string]int{
		"usr/share/backgrounds/Bridge_by_Sander_Klootwijk.jpg":         23,
		"usr/share/backgrounds/Dragonfly_by_Bolly.jpg":                 24,
		"usr/share/backgrounds/Picture_0B_by_freespace.jpg":            25,
		"usr/share/backgrounds/Picture_1A_by_freespace.jpg":            26,
		"usr/share/backgrounds/Wine_by_Jakkub_Mede.jpg":                27,
		"usr/share/backgrounds/aitzgorri_by_Aitzol_Berasategi.jpg":     28,
		"usr/share/backgrounds/analogpattern_by_Peter_Nerlich.jpg":     29,
		"usr/share/backgrounds/free_by_Peter_Nerlich.jpg":              30,
		"usr/share/backgrounds/friends_by_Aitzol_Berasategi.jpg":       31,
		"usr/share/backgrounds/greentock_by_Peter_Nerlich.jpg":         32,
		"usr/share/backgrounds/life_by_Aitzol_Berasategi.jpg":          33,
		"usr/share/backgrounds/picosdeeuropa_by_Aitzol_Berasategi.jpg": 34,
		"usr/share/backgrounds/seeding_by_Clements_Engelhardt.jpg":     35,
		"usr/share/backgrounds/sunset_by_Aitzol_Berasategi.jpg":        36,
	}},
	{fetch.File{URL: debian + "pool/main/l/lomiri-wallpapers/lomiri-wallpapers-20.04_20.04.0-2_all.deb", Size: 11377208, SHA256: "d44e89b8473aafe64a5b678f014862dc31335aaaf18665c544d985d854f1a709"}, map[string]int{
		"usr/share/backgrounds/Kleiber_by_Lukas_Baubkus.jpg": 40,
	}},
	{fetch.File{URL: debian + "pool/main/m/mate-backgrounds/mate-backgrounds_1.26.0-1_all.deb", Size: 46638500, SHA256: "7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04"}, map[string]int{
		"usr/share/backgrounds/mate/abstract/Elephants_5640x3172.jpg": 45,
		"usr/share/backgrounds/mate/nature/Aqua.jpg":                  59,
		"usr/share/backgrounds/mate/nature/Blinds.jpg":                60,
		"usr/share/backgrounds/mate/nature/Dune.jpg":                  61,
		"usr/share/backgrounds/mate/nature/Garden.jpg":                62,
		"usr/share/backgrounds/mate/nature/GreenMeadow.jpg":           63,
		"usr/share/backgrounds/mate/nature/LadyBird.jpg":              64,
		"usr/share/backgrounds/mate/nature/RainDrops.jpg":             65,
		"usr/share/backgrounds/mate/nature/Storm.jpg":                 66,
		"usr/share/backgrounds/mate/nature/TwoWings.jpg":              67,
		"usr/share/backgrounds/mate/nature/Wood.jpg":                  68,
		"usr/share/backgrounds/mate/nature/YellowFlower.jpg":          69,
	}},
	{fetch.File{URL: debian + "pool/main/p/plasma-workspace-wallpapers/plasma-workspace-wallpapers_5.27.5-2_all.deb", Size: 94047772, SHA256: "32cd18b71c8c938a18b3b351f217c02ac590e323caa3cf322fbb875ce8892f8b"}, map[string]int{
		"usr/share/wallpapers/Autumn/contents/images/2560x1600.jpg":       72,
		"usr/share/wallpapers/BytheWater/contents/images/2560x1600.jpg":   73,
		"usr/share/wallpapers/ColdRipple/contents/images/2560x1600.jpg":   77,
		"usr/share/wallpapers/ColorfulCups/contents/images/2560x1600.jpg": 78,
		"usr/share/wallpapers/DarkestHour/contents/images/2560x1600.jpg":  79,
		"usr/share/wallpapers/EveningGlow/contents/images/2560x1600.jpg":  81,
		"usr/share/wallpapers/FallenLeaf/contents/images/2560x1600.jpg":   82,
		"usr/share/wallpapers/Grey/contents/images/2560x1600.jpg":         87,
		"usr/share/wallpapers/Kite/contents/images/2560x1600.jpg":         95,
		"usr/share/wallpapers/OneStandsOut/contents/images/2560x1600.jpg": 99,
		"usr/share/wallpapers/Path/contents/images/2560x1600.jpg":         105,
		"usr/share/wallpapers/SafeLanding/contents/images/5120x2880.jpg":  107,
		"usr/share/wallpapers/Volna/contents/images/5120x2880.jpg":        109,
		"usr/share/wallpapers/summer_1am/contents/images/2560x1600.jpg":   110,
	}},
}

// elementary is where the photographs of elementary OS lie, from Unsplash (0 and 3,
// 4, 6: CC0; 1, 2, 7, 8: Unsplash's licence) and Pexels (5: its licence).
const elementary = "https://raw.githubusercontent.com/elementary/wallpapers/f28b86144ba01d788ac61ad198ca16fa9477913f/backgrounds/"

var single = map[int]fetch.File{
	0: {URL: elementary + "Ashim%20DSilva.jpg", Size: 1221365, SHA256: "bf2fdee8ddab837f0d978801d451ebf5e6f9d82461af0ece37a28051d4a406c0"},
	1: {URL: elementary + "Martin%20Adams.jpg", Size: 659953, SHA256: "92bd18868af6afe2aa381e8598627c090b73d0e1b84cc7c64db8fd73be3db1af"},
	2: {URL: elementary + "Morskie%20Oko.jpg", Size: 2494291, SHA256: "76b1b97982e9591fa19d544131458d03cfcace690a6a79482eefac321d56949f"},
	3: {URL: elementary + "Mr.%20Lee.jpg", Size: 3569965, SHA256: "6796ce736bcb92e18ede68efaa743412e1208018c1823ba8b6309c34167260df"},
	4: {URL: elementary + "Photo%20by%20SpaceX.jpg", Size: 804013, SHA256: "a1396b571f858fbb61c51a1c885a5b89f2b844708581541dd2c7ceeb0750478c"},
	5: {URL: elementary + "Snow-Capped%20Mountain.jpg", Size: 1384528, SHA256: "04c7f69c49d7405f87af008a6814832fa3df6e6a7c1a4e42dc640d7159f7e923"},
	6: {URL: elementary + "Sunset%20by%20the%20Pier.jpg", Size: 1244157, SHA256: "b13f5a16af1cecb399a1c533b00a4fc935a3e8ce80b2b34ed435eadb3f1b9481"},
	7: {URL: elementary + "Tj%20Holowaychuk.jpg", Size: 501195, SHA256: "a9219b9087693015372e1da7e03217e81fcef0c69b768f29dd7078e26db3efa8"},
	8: {URL: elementary + "Viktor%20Forgacs.jpg", Size: 1600593, SHA256: "c6d298be1520546c0440d64d1073e33a356043e2481a8a67e940d5262c0c2e28"},
}
