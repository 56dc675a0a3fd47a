"""Short paragraphs in many languages, written for the tests of the language rule: (ISO 639-1 code, text)."""

ENGLISH = (
    "The bakery on the corner opens at six, and by half past the first loaves are gone. Most people buy two rolls and "
    "a paper, say a word about the weather and hurry on to the station.",
    "Glaciers carve their valleys slowly. A river cuts a narrow groove, but ice grinds the whole width of the rock, "
    "which is why the fjords of the north have such steep walls and such flat floors.",
    "I repaired the old radio with a soldering iron and a lot of patience. Two capacitors had dried out, one wire was "
    "loose, and the loudspeaker had been eaten by mice.",
    "Peel the potatoes, cut them into thick slices and boil them for eight minutes. Drain them, add butter and chopped "
    "parsley, and serve them with the fish while everything is hot.",
)

# English that a classifier may take for something else: code, names, numbers, tables read out as text.
ODD_ENGLISH = (
    "To read an image call skimage.io.imread(fname, as_gray=False) and pass the result to "
    "skimage.filters.gaussian with "
    "sigma=2.0. The returned ndarray has dtype float64 and shape (M, N) or (M, N, 3). Set preserve_range=True if the "
    "values must stay as they were.",
    "Parameters: n_estimators : int, default=100. The number of trees in the forest. criterion : {'gini', 'entropy'}. "
    "max_depth : int, default=None. If None, nodes are expanded until all leaves are pure or hold fewer than "
    "min_samples_split samples. random_state : int, RandomState instance or None.",
    "Results of the regional final: 1. Katarzyna Wiśniewska 54.31; 2. Jürgen Müller 54.87; 3. François Lefèvre 55.02; "
    "4. Giuseppe Rossi 55.40; 5. Øystein Hansen 56.13. The race was held in Gdańsk on 12 May and the winner goes on to "
    "the championship in October.",
    "Opening hours Monday 9:00-17:00 Tuesday 9:00-17:00 Wednesday 9:00-12:30 Thursday 9:00-20:00 Friday 9:00-15:00. "
    "Admission: adults 12.50, children under 14 free, groups of ten or more 9.00 each. Tel. 0171 555 0199. Closed on "
    "public holidays and from 24 December to 2 January.",
    "WARNING: DISCONNECT THE POWER SUPPLY BEFORE OPENING THE HOUSING. THE CAPACITORS MAY HOLD A CHARGE FOR SEVERAL "
    "MINUTES. DO NOT TOUCH THE TERMINALS UNTIL THE INDICATOR LAMP HAS GONE OUT.",
    "lol that was sooo good!!! gonna make it again this weekend with my sis, she's been asking 4 the recipe since last "
    "summer haha. pics coming soon, stay tuned guys <3",
    "The Schloss Neuschwanstein stands above the village of Hohenschwangau near Füssen. Visitors take the bus from the "
    "Alpsee car park, walk up past the Marienbrücke and see the Thronsaal and the Sängersaal with a guide.",
)

FOREIGN = (
    (
        "de",
        "Der Zug nach Leipzig fährt heute von Gleis sieben ab. Wegen eines umgestürzten Baumes dauert die Reise etwa "
        "zwanzig Minuten länger, und die Anschlüsse können leider nicht warten.",
    ),
    (
        "de",
        "Im Keller fanden wir eine Kiste mit alten Briefen, die meine Großmutter während ihrer Lehrzeit geschrieben "
        "hatte. Die Tinte war verblasst, aber jedes Wort ließ sich noch lesen.",
    ),
    (
        "de",
        "Zur Installation des Treibers laden Sie das Update herunter und starten den Computer neu. Danach öffnen Sie "
        "das Dialogfenster und wählen im Menü den Drucker als Standard aus.",
    ),
    (
        "fr",
        "Le marché se tient tous les samedis sur la place de l'église. On y trouve des fromages de chèvre, des tomates "
        "encore tièdes de soleil et, si l'on arrive tôt, les meilleures cerises de la vallée.",
    ),
    (
        "fr",
        "Cette fonction renvoie un tableau dont chaque élément est un nombre entier. Si le paramètre est vide, elle "
        "affiche un message d'erreur et le programme s'arrête sans rien enregistrer.",
    ),
    (
        "fr",
        "Mon oncle réparait les montres dans une petite boutique où l'on entendait battre cent cœurs à la fois. Il "
        "disait qu'une bonne montre se reconnaît à son silence.",
    ),
    (
        "es",
        "La fuente de la plaza lleva seca desde el verano pasado. Los vecinos han pedido al "
        "ayuntamiento que la arregle "
        "antes de las fiestas, porque los niños la echan mucho de menos.",
    ),
    (
        "es",
        "Para preparar el arroz hay que sofreír la cebolla despacio, añadir el caldo caliente y no removerlo más. "
        "Cuando el agua desaparece, se tapa y se deja reposar cinco minutos.",
    ),
    (
        "es",
        "El telescopio se montó en lo alto del cerro, lejos de las luces del pueblo. Aquella noche vimos por primera "
        "vez los anillos de Saturno y nadie quiso irse a dormir.",
    ),
    (
        "it",
        "Il traghetto parte ogni ora dal molo vecchio e arriva all'isola dopo quaranta minuti. D'inverno le corse sono "
        "poche, e quando soffia lo scirocco non parte nessuno.",
    ),
    (
        "it",
        "La nonna stendeva la pasta con un bicchiere, perché il mattarello si era rotto durante la guerra e nessuno ne "
        "aveva mai comprato un altro.",
    ),
    (
        "pt",
        "A biblioteca da vila foi construída com o dinheiro dos pescadores. Hoje tem mais de vinte mil livros e uma "
        "sala onde as crianças ouvem histórias às quartas-feiras à tarde.",
    ),
    (
        "pt",
        "Não se esqueça de fechar as janelas antes de sair, porque a previsão é de chuva "
        "forte durante toda a noite e o "
        "telhado ainda não foi consertado.",
    ),
    (
        "nl",
        "De fietsbrug over het kanaal is eindelijk klaar. Wie van het station naar de markt wil, hoeft niet meer om te "
        "rijden en is nu tien minuten eerder op zijn werk.",
    ),
    (
        "nl",
        "Mijn buurvrouw kweekt tulpen die 's nachts bijna zwart lijken. Ze verkoopt ze niet, want volgens haar zouden "
        "ze in een vaas meteen hun kleur verliezen.",
    ),
    (
        "sv",
        "Sjön frös till redan i november det året, och barnen åkte skridskor till skolan. På kvällarna lyste lyktorna "
        "längs stranden som en lång rad av små månar.",
    ),
    (
        "da",
        "Færgen til øen sejler kun to gange om dagen uden for sæsonen. Hvis man kommer for sent, må man overnatte på "
        "kroen, hvor der til gengæld er både god mad og varme værelser.",
    ),
    (
        "pl",
        "Na strychu stoi stara szafa, której nikt nie otwierał od trzydziestu lat. Mówią, że "
        "w środku wciąż wisi płaszcz "
        "dziadka, a w kieszeni leży bilet do kina.",
    ),
    (
        "pl",
        "Dzisiaj rano spadł pierwszy śnieg i całe miasto ucichło. Tramwaje jechały powoli, a ludzie uśmiechali się do "
        "siebie bez żadnego powodu.",
    ),
    (
        "cs",
        "Na podzim sbíráme houby v lese za mlýnem. Nejvíc jich roste po dešti pod starými duby, ale o tom místě doma "
        "raději nikomu neříkáme.",
    ),
    (
        "fi",
        "Saunan jälkeen istuimme laiturilla ja katselimme, kuinka aurinko laski järven taakse. Kukaan ei puhunut "
        "mitään, koska mitään ei tarvinnut sanoa.",
    ),
    (
        "tr",
        "Köyün tek çeşmesi yazın kuruyunca kadınlar suyu dereden taşırdı. Şimdi her evde musluk var, ama yaşlılar hâlâ "
        "o soğuk suyun tadını anlatır.",
    ),
    (
        "vi",
        "Chợ nổi họp từ lúc trời còn chưa sáng. Những chiếc thuyền chở đầy trái cây nép vào nhau, và người bán treo "
        "hàng lên cây sào để khách nhìn thấy từ xa.",
    ),
    (
        "id",
        "Setiap pagi ayah menyapu halaman sebelum matahari terbit. Katanya, hari yang dimulai dengan halaman bersih "
        "tidak akan berakhir dengan hati yang kotor.",
    ),
    (
        "ru",
        "Старый мост через реку закрыли на ремонт, и теперь все ездят в объезд через соседнюю деревню. Зато на том "
        "берегу стало тихо, и снова слышно, как поют птицы.",
    ),
    (
        "ru",
        "Чтобы установить программу, скачайте архив, распакуйте его в новую папку и запустите файл установки. После "
        "этого компьютер нужно перезагрузить.",
    ),
    (
        "el",
        "Το καφενείο του χωριού ανοίγει πριν ξημερώσει. Οι ψαράδες πίνουν τον καφέ τους όρθιοι και μιλούν για τον "
        "καιρό, γιατί από αυτόν εξαρτάται όλη η μέρα.",
    ),
    (
        "ar",
        "كان جدي يزرع الزيتون على سفح الجبل، وكان يعرف كل شجرة باسمها. وفي موسم القطاف كانت العائلة كلها تجتمع هناك "
        "وتغني حتى المساء.",
    ),
    (
        "he",
        "הספרייה הקטנה בקצה הרחוב פתוחה רק בימי שלישי. הספרנית מכירה את כל הילדים בשמותיהם ויודעת תמיד איזה ספר כל אחד "
        "מהם עוד לא קרא.",
    ),
    (
        "hi",
        "गाँव के बाहर एक पुराना बरगद का पेड़ है जिसके नीचे हर शाम लोग इकट्ठा होते हैं। बच्चे खेलते हैं और बूढ़े "
        "लोग बीते दिनों की कहानियाँ सुनाते हैं।",
    ),
    (
        "zh",
        "河边的老茶馆已经开了八十年。每天早上，老人们带着鸟笼来这里喝茶聊天，直到太阳升到屋顶才慢慢走回家去。",
    ),
    (
        "zh",
        "安装软件之前，请先关闭其他程序，并把重要的文件备份到另一个磁盘。安装完成以后需要重新启动计算机。",
    ),
    (
        "ja",
        "駅前の商店街には、昔ながらの豆腐屋が一軒だけ残っています。朝早く行くと、できたての温かい豆腐を分けてもらえます。",
    ),
    (
        "ko",
        "할머니는 해마다 가을이 되면 마당에서 고추를 말리셨다. 빨갛게 물든 마당을 보면 우리는 겨울이 "
        "가까이 왔다는 것을 알 수 있었다.",
    ),
)
