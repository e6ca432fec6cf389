"""Plain text about everyday matters, written for this project: what a fine-tune is not meant to change.

One passage a matter, blank lines between them, most in Japanese, some in English. None is a title, a list of tags or a
question with its answer. Passages stand alone, so each can be drawn without the others.
"""

from __future__ import annotations

from typing import Final

PASSAGES: Final = """\
朝の六時に目覚ましが鳴ると、祖父はまず台所の窓を開けて外の空気を入れます。それから小さな鍋で湯を沸かし、前の晩に洗っておいた湯のみを二つ並べます。\
新聞を読むのは茶を飲み終えてからで、その順番が変わることはめったにありません。

この町の図書館は川のそばにあり、二階の窓際からは橋を渡る電車がよく見える。平日の午前は静かで、席を探す必要はない。\
本を返す箱は入口の右にあるので、閉館したあとでも返却だけはできる。

雨の日が三日も続くと、洗濯物は部屋の中に干すしかない。扇風機を弱く回し、服と服の間を手のひら一つ分ほど空けておくと、乾くまでの時間はずいぶん短くなる。\
厚い靴下は裏返しておくのがよい。

駅前の自転車置き場は、先月から料金の払い方が変わった。以前は係の人に百円を渡していたが、今は番号を押して機械に入れる。\
慣れない人のために、機械の横には使い方を書いた大きな紙が貼ってある。

みそ汁を作るとき、母は火を止めてからみそを溶かす。沸かしたままだと香りが逃げるのだそうだ。\
具は豆腐とわかめが多いが、冬になると大根や里芋が入り、椀の中は少し重たくなる。

隣の家の犬は、郵便の車が角を曲がる音を聞き分けるらしい。ほかの車には見向きもしないのに、その音がすると必ず門のところまで走って出て、しっぽを振って待っている。\
配達の人も名前を覚えてしまった。

The bus to the hospital leaves every twenty minutes from the stop across the street. On Sundays there are fewer of them, so people who \
visit in the afternoon often walk back along the canal. It takes about half an hour, and the path is lit until ten in the evening.

冷蔵庫の奥から、いつ買ったのか分からない瓶が出てきた。ふたには日付がなく、中身は黒くて甘いにおいがする。\
家族に聞いても誰も覚えていないので、少し惜しい気もしたが、洗って瓶だけを残すことにした。

小学校の運動場では、放課後になると近所の子どもたちが集まってボールを蹴っている。暗くなる少し前に六時の音楽が流れ、それを合図に一人ずつ家に帰っていく。\
最後に残った子がボールを倉庫に戻す決まりだ。

新しい靴を買うなら夕方がよいと店の人に言われた。歩いたあとの足は朝よりわずかに大きくなるからだという。\
両方の足で立ち、つま先に指一本分のゆとりがあるかを確かめてから、店の中を一回りさせてもらった。

海の近くで育った人は、風のにおいで天気が分かると言う。私にはどの風も同じに思えるが、友だちは窓を少し開けただけで、夕方には降るよ、と言い当てる。\
その日も傘を借りて帰り、おかげで濡れずにすんだ。

引っ越しの荷物は思っていたより多く、箱が四十を超えた。いちばん重いのは本で、いちばん場所を取ったのは布団だった。\
割れやすい皿は古い新聞で一枚ずつ包み、箱の横に赤い字で印を付けておいた。

When the power went out last night, the whole street became quiet for a moment. Then doors opened, and neighbours came out with small \
lamps to see whether the others had light. We talked on the stairs for an hour, and nobody minded when it came back.

歯医者の待合室には水槽があり、赤い小さな魚が十匹ほど泳いでいる。子どもはそれを数えているうちに名前を呼ばれ、泣くのを忘れて椅子に座る。\
水槽を置いたのは先生の考えだと、受付の人が教えてくれた。

畑の土は、雨のすぐあとに踏むと固くなってしまう。だから父は一日待ってから畝を直し、それから種をまく。\
豆は二粒ずつ、指の第一関節の深さに入れて、軽く土をかける。芽が出るまでは鳥に食べられないように網を張っておく。

会議が長くなると、部屋の空気が悪くなって眠くなる人が増える。先週からは一時間ごとに窓を開け、五分だけ立って歩くことになった。\
最初は面倒だという声もあったが、今では話が早く終わると言われている。

古い時計を直してくれる店が、商店街のはずれに一軒だけ残っている。主人は七十を過ぎているが、細かい歯車をピンセットでつまむ手は少しも震えない。\
直るまでに二週間かかると言われ、番号の書かれた紙を受け取った。

雪の朝は音がしない。道路を走る車もゆっくりで、遠くの踏切の音だけが聞こえてくる。\
玄関の前の雪を寄せるには平たいスコップがよく、凍る前に済ませないと、昼になっても固まったまま残ってしまう。

The recipe asks for two cups of flour, one egg, and a little salt. My aunt never measures the water; she adds it slowly until the dough \
feels like an earlobe, as she puts it. After an hour under a damp cloth it is ready to be rolled and cut.

銀行の窓口は三時に閉まるので、仕事をしている人にはなかなか行く時間がない。住所を変えるだけなら家からでもできるが、印鑑を変えるときは本人が行かなければならない。\
番号札を取ってから呼ばれるまで、二十分ほど待った。

夏の終わりに蝉の声が変わると、もうすぐ学校が始まるのだと思う。宿題の絵だけがまだ終わっておらず、弟は縁側に座って庭の木を描いている。\
葉の色を塗るのに緑を三つも使い、幹は最後まで白いままだった。

電車の中で席を譲ろうとしたら、次で降りますからと断られた。けれどもその人は次の駅でも、その次の駅でも降りなかった。\
気を使わせてしまったのかもしれないと思い、今度からは黙って立つことにした。

毛糸の帽子を洗うときは、ぬるい湯に少しだけ洗剤を入れて、押すように洗う。こすったり絞ったりすると縮んで、二度と元の形には戻らない。\
タオルにはさんで水を取り、平らなところで陰干しにする。

山小屋の夜は早く、八時には明かりが消える。寝る前に外へ出てみると、星が多すぎて、知っている星座を見つけることができなかった。\
朝の四時には起きる人がいて、湯を沸かす音で目が覚めた。

Our office moved to the third floor in spring. The rooms are smaller, but the windows face the park, and in the morning the light falls \
right across the long table. Somebody brought a plant in a blue pot, and now each of us believes that another waters it.

マンションの掲示板に、水道の点検のお知らせが貼られていた。来週の火曜日は午前九時から正午まで水が出ないという。\
前の日のうちに風呂に水をためておき、飲む分はやかんに入れておくようにと書いてあった。

祭りの日には、いつもは車の多い通りが歩行者だけのものになる。焼いたとうもろこしのにおいがして、太鼓の音が腹に響く。\
子どもは金魚を三匹もらって帰り、その晩のうちに名前まで付けてしまった。

写真を整理していたら、誰が写っているのか分からない一枚が出てきた。裏に鉛筆で年だけが書いてあり、後ろには今はもうない映画館が見える。\
母に見せると、しばらく黙ってから、この人はあなたの大おばさんよ、と言った。

薬局で渡された粉の薬は苦く、水だけではなかなか飲めない。少量のゼリーに混ぜるとよいと聞いて試してみたら、味がほとんど気にならなくなった。\
ただし熱いものに混ぜてはいけないと袋に書いてある。

The river rises every April when the snow melts in the hills. Old people look at the third step below the bridge: if it is under water, \
they carry their tools up from the sheds. Last year it stayed dry, and the boats were painted two weeks early.

夜中に台所で音がしたので、恐る恐る明かりをつけてみると、窓のすき間から入った風で紙袋が揺れていただけだった。\
それでも一度目が覚めるとなかなか眠れず、牛乳を温めて飲み、ラジオの天気予報を聞きながら横になった。

ピアノの先生は、間違えたところより手前から弾き直すようにと言う。間違えた音だけを直しても、そこへ入る手の動きが前のままなら、また同じところでつまずくからだ。\
ゆっくり三度弾けたら、そこで初めて速さを戻す。

市場の魚屋は、十時を過ぎると値段を下げ始める。よい魚は早い時間になくなるが、煮付けにするなら遅い時間のもので十分だ。\
頭と骨を分けてもらうと、家でだしを取ることができる。

空港で荷物が出てくるのを待っていると、同じ色の鞄がいくつも流れてくる。自分のものには黄色い布を結んでおいたので、遠くからでもすぐに分かった。\
隣の人は似た鞄を二度も取り違え、そのたびに笑って謝っていた。

My grandmother writes letters by hand, and she writes them twice: once quickly, to find out what she wants to say, and once slowly, on good \
paper. She says that the second one is always shorter. I have kept all of hers in a tin box under the bed.

川沿いの桜は、満開を過ぎてからのほうがきれいだと言う人もいる。花びらが水に落ちて、流れのゆるいところに集まり、桃色の帯のようになるからだ。\
朝早く行けば人は少なく、犬を連れた人とすれ違うくらいである。

病院の廊下では、床に引かれた線の色で行き先が分かるようになっている。青は採血、緑はレントゲン、黄色は会計につながる。\
初めて来た人も迷わずにすむが、線が重なる曲がり角では立ち止まって確かめる人が多い。

米をとぐ水は、最初の一度だけは手早く捨てる。乾いた米は最初の水をよく吸うので、ゆっくりしているとぬかのにおいまで吸ってしまう。\
そのあとは力を入れず、水が少し白いくらいでやめて、三十分ほど置いてから炊く。
"""
